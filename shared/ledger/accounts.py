"""Opening accounts and looking them up."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ids import new_id
from shared.ledger.errors import AccountNotFound
from shared.models import Account
from shared.money import INR

SPENDABLE_KINDS = ("wallet", "merchant")


async def open_account(
    session: AsyncSession,
    *,
    owner_id: UUID,
    kind: Literal["wallet", "merchant", "pot"],
    name: str,
    handle: str | None = None,
    currency: str = INR,
) -> Account:
    """A new, empty account that can never go below zero. Flushed, so that unique rules speak at once."""
    account = Account(
        id=new_id(),
        owner_id=owner_id,
        kind=kind,
        name=name,
        handle=handle,
        currency=currency,
        created_at=clock.now(),
        closed_at=None,
    )
    session.add(account)
    await session.flush()
    return account


async def wallet_of(session: AsyncSession, owner_id: UUID) -> Account:
    """The owner's wallet, or a merchant's account: everyone who signed up has exactly one."""
    statement = select(Account).where(Account.owner_id == owner_id, Account.kind.in_(SPENDABLE_KINDS))
    return (await session.execute(statement)).scalar_one()


async def account_of(session: AsyncSession, owner_id: UUID, account_id: UUID) -> Account:
    """One of the owner's own accounts. Raises AccountNotFound, for those of others too."""
    account = await session.get(Account, account_id)
    if account is None or account.owner_id != owner_id:
        raise AccountNotFound
    return account


async def lock_accounts(session: AsyncSession, account_ids: Collection[UUID]) -> None:
    """Lock them until the transaction ends, in the ledger's own order: what is read of them from now on stays so."""
    statement = select(Account.id).where(Account.id.in_(account_ids)).order_by(Account.id)
    await session.execute(statement.with_for_update(key_share=True))
