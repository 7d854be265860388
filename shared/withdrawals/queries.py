"""What is read of withdrawals: an owner's own, where they went, and those an operator has to look at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.account_numbers import masked
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.views import (
    Destination,
    RecentWithdrawal,
    UnderReview,
    WithdrawalDetail,
    WithdrawalView,
    view_of,
)

MAX_RECENT = 200
"""Of an owner's withdrawals, how many are looked through for what is new."""
MAX_DESTINATIONS_FROM = 50
"""How many of the owner's newest withdrawals are looked through for destinations."""
MAX_UNDER_REVIEW = 1000


async def list_withdrawals(
    session: AsyncSession, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[WithdrawalView], UUID | None]:
    """The owner's withdrawals, newest first, older than `before`; and the next `before`, if there are more."""
    statement = select(Withdrawal).where(Withdrawal.owner_id == owner_id)
    if before is not None:
        statement = statement.where(Withdrawal.id < before)
    found = list((await session.scalars(statement.order_by(Withdrawal.id.desc()).limit(limit + 1))).all())
    page = found[:limit]
    positions = await _positions(session, owner_id, page)
    views = [view_of(withdrawal, position=positions.get(withdrawal.id)) for withdrawal in page]
    return views, page[-1].id if len(found) > limit else None


async def recent_withdrawals(session: AsyncSession, *, owner_id: UUID, since: datetime) -> list[RecentWithdrawal]:
    """The owner's withdrawals that are not finished or finished after `since`, oldest first, as they are now."""
    statement = (
        select(Withdrawal)
        .where(
            Withdrawal.owner_id == owner_id,
            or_(Withdrawal.status.not_in(WithdrawalStatus.final()), Withdrawal.finished_at >= since),
        )
        .order_by(Withdrawal.id.desc())
        .limit(MAX_RECENT)
    )
    found = list(reversed((await session.scalars(statement)).all()))
    if not found:
        return []
    positions = await _positions(session, owner_id, found)
    latest = await timeline.latest(session, [withdrawal.id for withdrawal in found])
    return [RecentWithdrawal(view_of(each, position=positions.get(each.id)), latest.get(each.id)) for each in found]


async def get_withdrawal(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> WithdrawalDetail:
    """One of the owner's, with its timeline. Raises WithdrawalNotFound, for those of others too."""
    return await detail_of(session, await _own(session, owner_id, withdrawal_id))


async def view_in_queue(session: AsyncSession, withdrawal: Withdrawal) -> WithdrawalView:
    """A withdrawal with its place in the queue."""
    positions = await _positions(session, withdrawal.owner_id, [withdrawal])
    return view_of(withdrawal, position=positions.get(withdrawal.id))


async def detail_of(session: AsyncSession, withdrawal: Withdrawal) -> WithdrawalDetail:
    """A withdrawal with its place in the queue and its timeline."""
    return WithdrawalDetail(await view_in_queue(session, withdrawal), await timeline.read(session, withdrawal.id))


async def list_destinations(session: AsyncSession, *, owner_id: UUID, limit: int) -> list[Destination]:
    """Where the owner withdrew to, the latest first, each account once. Those that a bank refused are left out."""
    newest = (
        select(Withdrawal)
        .where(Withdrawal.owner_id == owner_id)
        .order_by(Withdrawal.id.desc())
        .limit(MAX_DESTINATIONS_FROM)
        .subquery()
    )
    account = (newest.c.bank, newest.c.account_number, newest.c.ifsc, newest.c.account_holder)
    latest = func.max(newest.c.created_at)
    statement = (
        select(func.array_agg(newest.c.id).label("ids"), *account)
        .where(newest.c.status != WithdrawalStatus.FAILED)
        .group_by(*account)
        .order_by(latest.desc())
        .limit(limit)
    )
    return [Destination(max(row.ids), *row[1:]) for row in await session.execute(statement)]


async def get_destination(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> Destination:
    """Where one of the owner's withdrawals went. Raises WithdrawalNotFound, for those of others too."""
    withdrawal = await _own(session, owner_id, withdrawal_id)
    return Destination(
        withdrawal.id, withdrawal.bank, withdrawal.account_number, withdrawal.ifsc, withdrawal.account_holder
    )


async def list_under_review(session: AsyncSession) -> list[UnderReview]:
    """Withdrawals that need review, the longest active first; at most MAX_UNDER_REVIEW."""
    statement = (
        select(Withdrawal)
        .where(Withdrawal.status == WithdrawalStatus.NEEDS_REVIEW)
        .order_by(Withdrawal.active_since)
        .limit(MAX_UNDER_REVIEW)
    )
    return [
        UnderReview(
            id=withdrawal.id,
            bank=withdrawal.bank,
            account_number=masked(withdrawal.account_number),
            amount=withdrawal.amount,
            active_since=withdrawal.active_since,
            attempts=withdrawal.attempts,
        )
        for withdrawal in await session.scalars(statement)
    ]


async def _own(session: AsyncSession, owner_id: UUID, withdrawal_id: UUID) -> Withdrawal:
    withdrawal = await session.get(Withdrawal, withdrawal_id)
    if withdrawal is None or withdrawal.owner_id != owner_id:
        raise WithdrawalNotFound
    return withdrawal


async def _positions(session: AsyncSession, owner_id: UUID, shown: Iterable[Withdrawal]) -> dict[UUID, int]:
    if all(withdrawal.status.is_final for withdrawal in shown):
        return {}
    # The active one is always the oldest, so the order of ids is the order of the queue.
    statement = select(Withdrawal.id, func.row_number().over(order_by=Withdrawal.id)).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.not_in(WithdrawalStatus.final())
    )
    return {row[0]: row[1] for row in await session.execute(statement)}
