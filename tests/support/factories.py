"""Rows that tests start from, made the way production makes them: through the ledger, never around it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ids import new_id, new_token
from shared.ledger import system_accounts
from shared.ledger.accounts import open_account
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, Merchant, Owner, User

NO_HASH = "!"
"""Matches no password and no PIN."""


async def create_user(
    session: AsyncSession,
    *,
    first_name: str = "Asha",
    balance: int = 0,
    password_hash: str = NO_HASH,
    pin_hash: str = NO_HASH,
    is_system: bool = False,
) -> Account:
    """A person; returns the wallet, holding `balance` paise. Handle and email are unique."""
    owner = await _create_owner(session, "user", password_hash, pin_hash, is_system)
    session.add(User(id=owner.id, first_name=first_name, last_name="Rao"))
    return await _open_funded(session, owner.id, "wallet", first_name, balance)


async def create_merchant(
    session: AsyncSession,
    *,
    business_name: str = "Chai Point",
    timezone: str = "Asia/Kolkata",
    balance: int = 0,
    password_hash: str = NO_HASH,
    pin_hash: str = NO_HASH,
) -> Account:
    """A shop; returns its account, holding `balance` paise."""
    owner = await _create_owner(session, "merchant", password_hash, pin_hash, is_system=False)
    session.add(Merchant(id=owner.id, business_name=business_name, category="food", timezone=timezone))
    return await _open_funded(session, owner.id, "merchant", business_name, balance)


async def fund(session: AsyncSession, account_id: UUID, amount: int) -> None:
    """Put `amount` paise on an account, from `funding`."""
    await post_one(session, Transfer(new_id(), "funding", system_accounts.FUNDING, account_id, amount))


async def _create_owner(session: AsyncSession, kind: str, password_hash: str, pin_hash: str, is_system: bool) -> Owner:
    owner = Owner(
        id=new_id(),
        kind=kind,
        is_system=is_system,
        email=f"{new_token(8).lower()}@example.test",
        password_hash=password_hash,
        pin_hash=pin_hash,
        tokens_valid_after=None,
        created_at=clock.now(),
    )
    session.add(owner)
    await session.flush()
    return owner


async def _open_funded(session: AsyncSession, owner_id: UUID, kind: str, name: str, balance: int) -> Account:
    slug = "".join(letter for letter in name.lower() if letter.isalnum())
    account = await open_account(
        session,
        owner_id=owner_id,
        kind="merchant" if kind == "merchant" else "wallet",
        name=name,
        handle=f"{slug}-{new_token(6).lower()}@batua",
    )
    if balance:
        await fund(session, account.id, balance)
        await session.refresh(account)
    return account
