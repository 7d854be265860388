"""Where an owner has sent money before, so that an account number need not be typed twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.errors import WithdrawalNotFound

LOOKED_AT = 50
"""How many of the owner's newest withdrawals are looked through."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A bank account money was withdrawn to; `withdrawal_id` is the latest one and names it. The number is for the
    bank alone: what a page shows is masked."""

    withdrawal_id: UUID
    bank: str
    account_number: str = field(repr=False)
    ifsc: str
    account_holder: str


async def recent_destinations(session: AsyncSession, *, owner_id: UUID, limit: int) -> list[Destination]:
    """The owner's at most `limit` latest destinations, each once. Those that a bank refused are left out."""
    newest = (
        select(Withdrawal)
        .where(Withdrawal.owner_id == owner_id)
        .order_by(Withdrawal.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    where = (newest.c.bank, newest.c.account_number, newest.c.ifsc, newest.c.account_holder)
    latest = func.max(newest.c.created_at)
    statement = (
        select(func.array_agg(newest.c.id).label("ids"), *where)
        .where(newest.c.status != WithdrawalStatus.FAILED)
        .group_by(*where)
        .order_by(latest.desc())
        .limit(limit)
    )
    return [Destination(max(row.ids), *row[1:]) for row in await session.execute(statement)]


async def destination_of(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> Destination:
    """Where one of the owner's withdrawals went. Raises WithdrawalNotFound, for those of others too."""
    withdrawal = await session.get(Withdrawal, withdrawal_id)
    if withdrawal is None or withdrawal.owner_id != owner_id:
        raise WithdrawalNotFound
    return Destination(
        withdrawal.id, withdrawal.bank, withdrawal.account_number, withdrawal.ifsc, withdrawal.account_holder
    )
