"""Make the plan happen at the times it says: transfers through the ledger, bank movements through their flows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.seed.cast import PASSWORD, PEOPLE, PIN, POTS, SHOPS, Person, Pot, Shop
from infra.seed.flows import Flows
from infra.seed.history import Moment, Movement, Plan
from shared import clock
from shared.auth.passwords import Hasher
from shared.auth.registration import Credentials, hash_credentials, register_person, register_shop
from shared.banks.number_keys import NumberKeys
from shared.calendar import INDIA
from shared.db.locks import lock
from shared.ids import new_id
from shared.ledger.post import post
from shared.ledger.rules import Rejected, Transfer
from shared.models import Account, OutboxMessage, Owner
from shared.transfers.pots import open_pot

Who = Person | Shop
Accounts = Mapping[Person | Shop | Pot, Account]
Progress = Callable[[int], None]
"""Called with the number of movements that were just made."""
_LOCK = 0x5EED
"""The lock that lets one seeding go on at a time."""


async def hashed(hasher: Hasher) -> dict[Who, Credentials]:
    """The credentials of all people and shops. Hashing is slow on purpose: do it outside a transaction.

    One after another: on a busy machine the last of many at once would not get its turn in time.
    """
    owners: tuple[Who, ...] = (*PEOPLE, *SHOPS)
    return {who: await hash_credentials(hasher, email=who.email, password=PASSWORD, pin=PIN) for who in owners}


async def wallet_ids(session: AsyncSession) -> dict[Who, str] | None:
    """The wallet ids of all people and shops; None where not all of them have signed up."""
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


async def write(
    session: AsyncSession,
    plan: Plan,
    credentials: dict[Who, Credentials],
    number_keys: NumberKeys,
    progress: Progress,
) -> None:
    """Sign all up and make every movement, all in the caller's transaction: it happens whole or not at all.

    Raises EmailTaken where one of the addresses belongs to another owner. Mails about the past are not sent.
    """
    present = plan.opened_at

    def time_of_the_plan() -> datetime:
        return present

    with clock.reading(time_of_the_plan):
        accounts: dict[Person | Shop | Pot, Account] = {
            who: await _sign_up(session, who, theirs) for who, theirs in credentials.items()
        }
        for pot in POTS:
            accounts[pot] = await open_pot(
                session, pot_id=new_id(), owner_id=_owner_id(accounts[pot.owner]), name=pot.name
            )
        flows, made = Flows(session, number_keys), dict[Movement, Transfer]()
        for moment in plan.moments:
            present = moment.at
            await _happen(session, moment, accounts, flows, made)
            progress(len(moment.movements))
    owner_ids = [_owner_id(accounts[who]) for who in credentials]
    await session.execute(delete(OutboxMessage).where(OutboxMessage.owner_id.in_(owner_ids)))


async def _happen(
    session: AsyncSession, moment: Moment, accounts: Accounts, flows: Flows, made: dict[Movement, Transfer]
) -> None:
    transfers = []
    for movement in moment.movements:
        if movement.kind == "onramp":
            assert movement.payee is not None
            await flows.add_money(movement, accounts[movement.payee], moment.at)
        elif movement.kind == "payout":
            assert movement.payer is not None
            await flows.withdraw(movement, accounts[movement.payer], moment.at)
        elif movement.kind == "payout_reversal":
            assert movement.reverses is not None
            await flows.come_back(movement.reverses, moment.at)
        else:
            made[movement] = _transfer(movement, accounts, made)
            transfers.append(made[movement])
    for outcome in await post(session, transfers) if transfers else ():
        if isinstance(outcome, Rejected):
            raise outcome.error


def _owner_id(account: Account) -> UUID:
    assert account.owner_id is not None
    return account.owner_id


async def only_one(session: AsyncSession) -> None:
    """Wait for another seeding to end; the lock is held until the transaction ends."""
    await lock(session, _LOCK)


async def _sign_up(session: AsyncSession, who: Who, credentials: Credentials) -> Account:
    if isinstance(who, Person):
        return await register_person(
            session, credentials=credentials, first_name=who.first_name, last_name=who.last_name
        )
    return await register_shop(
        session, credentials=credentials, business_name=who.name, category=who.category, timezone=INDIA.key
    )


def _transfer(movement: Movement, accounts: Accounts, made: Mapping[Movement, Transfer]) -> Transfer:
    assert movement.payer is not None
    assert movement.payee is not None
    payer = accounts[movement.payer]
    return Transfer(
        id=new_id(),
        kind=movement.kind,
        debit_account_id=payer.id,
        credit_account_id=accounts[movement.payee].id,
        amount=movement.amount,
        note=movement.note,
        initiated_by=payer.owner_id,
        reverses=None if movement.reverses is None else made[movement.reverses].id,
    )
