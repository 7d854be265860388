"""Make the plan happen, through the ledger, at the times it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.seed.cast import PASSWORD, PEOPLE, PIN, SHOPS, Person, Shop
from infra.seed.plan import Movement, Plan
from shared import clock
from shared.auth.passwords import Hasher
from shared.auth.registration import Credentials, hash_credentials, register_person, register_shop
from shared.calendar import INDIA
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post
from shared.ledger.rules import Rejected, Transfer
from shared.models import Account, Owner

Who = Person | Shop
Progress = Callable[[int], None]
"""Told how many movements were made just now."""
_LOCK = 0x5EED
"""The advisory lock that lets one seeding go on at a time."""


async def hashed(hasher: Hasher) -> dict[Who, Credentials]:
    """Everybody's credentials. Slow, as hashing is meant to be: do it outside a transaction."""
    everybody: tuple[Who, ...] = (*PEOPLE, *SHOPS)
    each = [hash_credentials(hasher, email=who.email, password=PASSWORD, pin=PIN) for who in everybody]
    return dict(zip(everybody, await asyncio.gather(*each), strict=True))


async def wallet_ids(session: AsyncSession) -> dict[Who, str] | None:
    """Everybody's wallet id; None where not all of them have signed up."""
    kinds: dict[tuple[str, str], Who] = {("user", person.email): person for person in PEOPLE}
    kinds |= {("merchant", shop.email): shop for shop in SHOPS}
    statement = (
        select(Owner.kind, Owner.email, Account.handle)
        .join(Account, Account.owner_id == Owner.id)
        .where(Account.handle.is_not(None), Owner.email.in_([email for _, email in kinds]))
    )
    rows = (await session.execute(statement)).all()
    found = {kinds[row.kind, row.email]: row.handle for row in rows if (row.kind, row.email) in kinds}
    return found if len(found) == len(kinds) else None


async def write(session: AsyncSession, plan: Plan, credentials: dict[Who, Credentials], progress: Progress) -> None:
    """Sign everybody up and make every movement, all in the caller's transaction: it happens whole or not at all.

    Raises EmailTaken where somebody else has one of the addresses.
    """
    present = plan.opened_at

    def time_of_the_plan() -> datetime:
        return present

    with clock.reading(time_of_the_plan):
        accounts = {who: await _sign_up(session, who, theirs) for who, theirs in credentials.items()}
        made: dict[Movement, Transfer] = {}
        for moment in plan.moments:
            present = moment.at
            for movement in moment.movements:
                made[movement] = _transfer(movement, accounts, made)
            for outcome in await post(session, [made[movement] for movement in moment.movements]):
                if isinstance(outcome, Rejected):
                    raise outcome.error
            progress(len(moment.movements))


async def only_one(session: AsyncSession) -> None:
    """Wait for another seeding to end; the lock is held until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def _sign_up(session: AsyncSession, who: Who, credentials: Credentials) -> Account:
    if isinstance(who, Person):
        account = await register_person(
            session, credentials=credentials, first_name=who.first_name, last_name=who.last_name
        )
    else:
        account = await register_shop(
            session,
            credentials=credentials,
            business_name=who.name,
            category=who.category,
            timezone=INDIA.key,
        )
    return account


def _transfer(movement: Movement, accounts: dict[Who, Account], made: dict[Movement, Transfer]) -> Transfer:
    payer = None if movement.payer is None else accounts[movement.payer]
    return Transfer(
        id=new_id(),
        kind=movement.kind,
        debit_account_id=system_accounts.FUNDING if payer is None else payer.id,
        credit_account_id=accounts[movement.payee].id,
        amount=movement.amount,
        note=movement.note,
        initiated_by=None if payer is None else payer.owner_id,
        reverses=None if movement.reverses is None else made[movement.reverses].id,
    )
