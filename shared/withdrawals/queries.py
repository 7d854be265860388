"""What is read of withdrawals: an owner's own, where they went, and those an operator has to look at."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.account_numbers import masked
from shared.db.columns import sql_values
from shared.db.reads import Source, fetch
from shared.ids import LAST_ID
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.views import (
    VIEW_COLUMNS,
    VIEW_SIZE,
    Destination,
    RecentWithdrawal,
    UnderReview,
    WithdrawalDetail,
    WithdrawalView,
    view_from,
)

MAX_RECENT = 200
"""Of an owner's withdrawals, how many are looked through for what is new."""
MAX_DESTINATIONS_FROM = 50
"""How many of the owner's newest withdrawals are looked through for destinations."""
MAX_UNDER_REVIEW = 1000

# The active one is always the oldest, so the order of ids is the order of the queue. Two partial indexes find it,
# however long the history is.
_SHOWN = f"""
    FROM withdrawals withdrawal
    LEFT JOIN (
        SELECT id, row_number() OVER (ORDER BY id) AS position
        FROM (
            SELECT id FROM withdrawals WHERE owner_id = $1 AND status = 'queued'
            UNION ALL
            SELECT id FROM withdrawals WHERE owner_id = $1 AND status IN {sql_values(WithdrawalStatus.active())}
        ) unfinished
    ) queue ON queue.id = withdrawal.id
"""  # noqa: S608 - statuses of the model
_NEWEST = f"""
    SELECT {VIEW_COLUMNS} {_SHOWN}
    WHERE withdrawal.owner_id = $1 AND withdrawal.id < $2
    ORDER BY withdrawal.id DESC LIMIT $3
"""
_RECENT = f"""
    SELECT {VIEW_COLUMNS}, {timeline.EVENT_COLUMNS} {_SHOWN}
    LEFT JOIN LATERAL (
        SELECT * FROM withdrawal_events WHERE withdrawal_id = withdrawal.id ORDER BY seq DESC LIMIT 1
    ) event ON true
    WHERE withdrawal.owner_id = $1
      AND (withdrawal.status NOT IN {sql_values(WithdrawalStatus.final())} OR withdrawal.finished_at >= $2)
    ORDER BY withdrawal.id DESC LIMIT $3
"""  # noqa: S608 - statuses of the model
_ONE = f"""
    SELECT {VIEW_COLUMNS}, {timeline.EVENT_COLUMNS} {_SHOWN}
    LEFT JOIN LATERAL (
        SELECT * FROM withdrawal_events WHERE withdrawal_id = withdrawal.id ORDER BY seq DESC LIMIT $3
    ) event ON true
    WHERE withdrawal.owner_id = $1 AND withdrawal.id = $2
    ORDER BY event.seq DESC
"""  # noqa: S608 - constants of this code
_DESTINATIONS = f"""
    SELECT array_agg(id), bank, account_number, ifsc, account_holder
    FROM (SELECT * FROM withdrawals WHERE owner_id = $1 ORDER BY id DESC LIMIT $2) newest
    WHERE status <> '{WithdrawalStatus.FAILED.value}'
    GROUP BY bank, account_number, ifsc, account_holder
    ORDER BY max(created_at) DESC LIMIT $3
"""  # noqa: S608 - a status of the model
_DESTINATION = """
    SELECT id, bank, account_number, ifsc, account_holder FROM withdrawals WHERE id = $1 AND owner_id = $2
"""


async def list_withdrawals(
    source: Source, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[WithdrawalView], UUID | None]:
    """The owner's withdrawals, newest first, older than `before`; and the next `before`, if there are more."""
    rows = await fetch(source, _NEWEST, owner_id, before or LAST_ID, limit + 1)
    page = [view_from(row) for row in rows[:limit]]
    return page, page[-1].id if len(rows) > limit else None


async def recent_withdrawals(source: Source, *, owner_id: UUID, since: datetime) -> list[RecentWithdrawal]:
    """The owner's withdrawals that are not finished or finished after `since`, oldest first, as they are now."""
    rows = await fetch(source, _RECENT, owner_id, since, MAX_RECENT)
    return [
        RecentWithdrawal(view_from(row[:VIEW_SIZE]), timeline.event_from(row[VIEW_SIZE:])) for row in reversed(rows)
    ]


async def get_withdrawal(source: Source, *, owner_id: UUID, withdrawal_id: UUID) -> WithdrawalDetail:
    """One of the owner's, with its timeline. Raises WithdrawalNotFound, for those of others too."""
    rows = await fetch(source, _ONE, owner_id, withdrawal_id, timeline.MAX_SHOWN)
    if not rows:
        raise WithdrawalNotFound
    events = [timeline.event_from(row[VIEW_SIZE:]) for row in reversed(rows)]
    return WithdrawalDetail(view_from(rows[0][:VIEW_SIZE]), [event for event in events if event is not None])


async def list_destinations(source: Source, *, owner_id: UUID, limit: int) -> list[Destination]:
    """Where the owner withdrew to, the latest first, each account once. Those that a bank refused are left out."""
    rows = await fetch(source, _DESTINATIONS, owner_id, MAX_DESTINATIONS_FROM, limit)
    return [Destination(max(ids), *account) for ids, *account in rows]


async def get_destination(source: Source, *, owner_id: UUID, withdrawal_id: UUID) -> Destination:
    """Where one of the owner's withdrawals went. Raises WithdrawalNotFound, for those of others too."""
    rows = await fetch(source, _DESTINATION, withdrawal_id, owner_id)
    if not rows:
        raise WithdrawalNotFound
    return Destination(*rows[0])


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
