"""What is read of withdrawals: an owner's own, and where they went."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from shared.banks.number_keys import NumberKeys, NumberUnreadable
from shared.db.columns import sql_values
from shared.db.reads import Row, Source, fetch
from shared.ids import LAST_ID
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.kept_numbers import NUMBER_COLUMNS, KeptNumber
from shared.withdrawals.views import (
    VIEW_COLUMNS,
    VIEW_SIZE,
    Account,
    Destination,
    RecentWithdrawal,
    WithdrawalDetail,
    WithdrawalView,
    view_from,
)

MAX_RECENT = 200
"""Of an owner's withdrawals, how many are looked through for what is new."""
MAX_DESTINATIONS_FROM = 50
"""How many of the owner's newest withdrawals are looked through for destinations."""

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
_ACCOUNT = "bank, ifsc, account_holder, coalesce(account_number_index, account_number)"
_DESTINATIONS = f"""
    SELECT account_holder, {NUMBER_COLUMNS} FROM (
        SELECT DISTINCT ON ({_ACCOUNT}) *
        FROM (SELECT * FROM withdrawals WHERE owner_id = $1 ORDER BY id DESC LIMIT $2) newest
        WHERE status <> '{WithdrawalStatus.FAILED.value}'
        ORDER BY {_ACCOUNT}, id DESC
    ) latest
    ORDER BY id DESC
"""  # noqa: S608 - a status of the model
_DESTINATION = f"SELECT account_holder, {NUMBER_COLUMNS} FROM withdrawals WHERE id = $1 AND owner_id = $2"  # noqa: S608


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


async def list_destinations(
    source: Source, *, owner_id: UUID, limit: int, number_keys: NumberKeys
) -> list[Destination]:
    """Where the owner withdrew to, the latest first, each account once. Those that a bank refused are left out."""
    rows = await fetch(source, _DESTINATIONS, owner_id, MAX_DESTINATIONS_FROM)
    found: dict[Account, Destination] = {}
    for row in rows:  # one account may still come twice: indexed with two keys, or before the numbers were encrypted
        with suppress(NumberUnreadable):
            destination = _destination_from(row, number_keys)
            found.setdefault(destination.account, destination)
        if len(found) == limit:
            break
    return list(found.values())


async def get_destination(
    source: Source, *, owner_id: UUID, withdrawal_id: UUID, number_keys: NumberKeys
) -> Destination:
    """Where one of the owner's withdrawals went. Raises WithdrawalNotFound, also for others'; NumberUnreadable."""
    rows = await fetch(source, _DESTINATION, withdrawal_id, owner_id)
    if not rows:
        raise WithdrawalNotFound
    return _destination_from(rows[0], number_keys)


def _destination_from(row: Row, number_keys: NumberKeys) -> Destination:
    account_holder, *kept = row
    number = KeptNumber(*kept)
    account = number.bank, number.whole(number_keys), number.ifsc, account_holder
    return Destination(number.withdrawal_id, *account)
