"""Open and find accounts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ids import new_id
from shared.ledger.errors import AccountNotFound, InsufficientFunds
from shared.models import Account
from shared.money import INR

SPENDABLE_KINDS = ("wallet", "merchant")


@dataclass(frozen=True, slots=True)
class Wallet:
    """A person's wallet or a shop's account, as its owner sees it. Amounts in paise."""

    account_id: UUID
    wallet_id: str
    balance: int
    held: int
    currency: str
    is_frozen: bool
    """Whether an operator lets nothing leave it."""
    seq: int
    """Number of the newest entry."""

    @property
    def available(self) -> int:
        """What may move now."""
        return self.balance - self.held


async def open_account(
    session: AsyncSession,
    *,
    owner_id: UUID,
    kind: Literal["wallet", "merchant", "pot"],
    name: str,
    account_id: UUID | None = None,
    handle: str | None = None,
    currency: str = INR,
) -> Account:
    """Open an empty account whose balance cannot fall below zero. Flushes, so that a unique constraint fails here."""
    account = Account(
        id=new_id() if account_id is None else account_id,
        owner_id=owner_id,
        kind=kind,
        name=name,
        handle=handle,
        currency=currency,
        created_at=clock.now(),
        closed_at=None,
        frozen_at=None,
    )
    session.add(account)
    await session.flush()
    return account


async def wallet_of(session: AsyncSession, owner_id: UUID) -> Account:
    """The wallet of a person or shop: each owner has exactly one."""
    statement = select(Account).where(Account.owner_id == owner_id, Account.kind.in_(SPENDABLE_KINDS))
    return (await session.execute(statement)).scalar_one()


async def account_of(session: AsyncSession, owner_id: UUID, account_id: UUID) -> Account:
    """One account of the owner. Raises AccountNotFound, also for an account of another owner."""
    account = await session.get(Account, account_id)
    if account is None or account.owner_id != owner_id:
        raise AccountNotFound
    return account


def require_available(account: Account | Wallet, amount: int) -> None:
    """Raise InsufficientFunds if `amount` (paise) is more than may move now.

    For an early answer to a person; the ledger decides again when the money moves.
    """
    if amount > account.available:
        raise InsufficientFunds(account.available, amount)


async def lock_accounts(session: AsyncSession, account_ids: Collection[UUID]) -> None:
    """Lock the accounts in id order, the ledger's lock order, until the transaction ends."""
    statement = select(Account.id).where(Account.id.in_(account_ids)).order_by(Account.id)
    await session.execute(statement.with_for_update(key_share=True))
