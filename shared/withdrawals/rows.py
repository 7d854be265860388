"""Find and lock the rows that the flow is about to change. A withdrawal's row is locked before any account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.wakeups.commits import wake_after_commit
from shared.withdrawals.errors import WithdrawalNotFound


async def lock(session: AsyncSession, withdrawal_id: UUID) -> Withdrawal | None:
    """The row as it is now, locked until the transaction ends."""
    return await _locked(session, select(Withdrawal).where(Withdrawal.id == withdrawal_id))


async def lock_own(session: AsyncSession, owner_id: UUID, withdrawal_id: UUID) -> Withdrawal:
    """The owner's own row, locked. Raises WithdrawalNotFound, for those of others too."""
    statement = select(Withdrawal).where(Withdrawal.id == withdrawal_id, Withdrawal.owner_id == owner_id)
    withdrawal = await _locked(session, statement)
    if withdrawal is None:
        raise WithdrawalNotFound
    return withdrawal


async def lock_active(session: AsyncSession, owner_id: UUID) -> Withdrawal | None:
    """The owner's active withdrawal, locked."""
    statement = select(Withdrawal).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.in_(WithdrawalStatus.active())
    )
    return await _locked(session, statement)


async def lock_first_queued(session: AsyncSession, owner_id: UUID) -> Withdrawal | None:
    """The first of the owner's queue, locked."""
    statement = (
        select(Withdrawal)
        .where(Withdrawal.owner_id == owner_id, Withdrawal.status == WithdrawalStatus.QUEUED)
        .order_by(Withdrawal.id)
        .limit(1)
    )
    return await _locked(session, statement)


async def owners_due(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Owners for whom something can be done now, the longest waiting first; at most `limit`.

    Either their active withdrawal is due (a leased one is due when the lease expires), or they have none and one is in
    their queue.
    """
    active = select(Withdrawal.owner_id, Withdrawal.next_attempt_at.label("since")).where(
        Withdrawal.status.in_(WithdrawalStatus.active()),
        or_(Withdrawal.next_attempt_at.is_(None), Withdrawal.next_attempt_at <= now),
    )
    other = select(Withdrawal).subquery()
    queued = (
        select(Withdrawal.owner_id, func.min(Withdrawal.created_at).label("since"))
        .where(
            Withdrawal.status == WithdrawalStatus.QUEUED,
            ~select(other.c.id)
            .where(and_(other.c.owner_id == Withdrawal.owner_id, other.c.status.in_(WithdrawalStatus.active())))
            .exists(),
        )
        .group_by(Withdrawal.owner_id)
    )
    due = union_all(active, queued).subquery()
    statement = select(due.c.owner_id).order_by(due.c.since.nulls_first()).limit(limit)
    return list((await session.execute(statement)).scalars())


async def next_due_at(session: AsyncSession, owner_id: UUID) -> datetime | None:
    """When the owner's active withdrawal is due, or None without one."""
    statement = select(Withdrawal.next_attempt_at).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.in_(WithdrawalStatus.active())
    )
    return (await session.scalars(statement)).one_or_none()


async def _locked(session: AsyncSession, statement: Select[Withdrawal]) -> Withdrawal | None:
    # Another transaction may have changed the row while this one waited for the lock.
    statement = statement.with_for_update().execution_options(populate_existing=True)
    withdrawal = (await session.scalars(statement)).one_or_none()
    if withdrawal is not None:  # locked in order to be changed
        wake_after_commit(session, [withdrawal.account_id])
    return withdrawal
