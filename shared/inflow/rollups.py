"""Reading inflow between moments: the roll-ups, and the entries above the watermark that are not rolled up yet.

So the totals equal the ledger's at every moment, whether or not the roll-ups are up to date (see `commands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.db.reads import Source, fetch
from shared.inflow.views import Inflow

# One statement reads one snapshot: a roll-up that commits meanwhile is seen whole or not at all. Python computes the
# boundaries, so that one time zone database decides everywhere. The planner cannot know that few entries lie above the
# watermark; OFFSET 0 keeps it from reading all transfers instead.
_RECEIVED = """
    WITH mark AS MATERIALIZED (
        SELECT coalesce(mark.seq, 0) AS rolled_up, account.seq AS last
        FROM accounts account LEFT JOIN inflow_watermarks mark ON mark.account_id = account.id
        WHERE account.id = $1
    ), received AS (
        SELECT quarter_start AS at, amount, payments FROM inflow_rollups
        WHERE account_id = $1 AND quarter_start >= $2 AND quarter_start < $3
        UNION ALL
        SELECT entry.created_at, entry.amount, 1
        FROM mark CROSS JOIN LATERAL (
            SELECT transfer_id, amount, created_at FROM entries
            WHERE account_id = $1 AND seq > mark.rolled_up AND seq <= mark.last AND direction = 'CREDIT'
            OFFSET 0
        ) entry CROSS JOIN LATERAL (
            SELECT kind FROM transfers WHERE id = entry.transfer_id OFFSET 0
        ) transfer
        WHERE transfer.kind = 'payment' AND entry.created_at >= $2 AND entry.created_at < $3
    )
"""
_SUMS = "CAST(sum(amount) AS bigint) AS amount, CAST(sum(payments) AS bigint) AS payments"
_INFLOW = f"""
    {_RECEIVED} SELECT width_bucket(at, $4::timestamptz[]) AS period, {_SUMS} FROM received GROUP BY period
"""  # noqa: S608 - constants of this code
# The clock of a zone is told by Python too: from which moments on ($6) it is how many seconds ahead of UTC ($7).
_INFLOW_AND_HOURS = f"""
    {_RECEIVED}, timed AS (
        SELECT width_bucket(at, $4::timestamptz[]) AS period, amount, payments, CASE WHEN at >= $5 THEN
            (CAST(extract(epoch FROM at) AS bigint) + ($7::bigint[])[width_bucket(at, $6::timestamptz[])])
            / 3600 % 24 END AS hour
        FROM received
    )
    SELECT period, hour, {_SUMS} FROM timed GROUP BY GROUPING SETS ((period), (hour))
"""  # noqa: S608 - constants of this code
# Of one quarter of an hour, whether or not it is rolled up; more entries than $4 are not read. The first column says
# whether some may be archived.
_PART_OF_A_QUARTER = """
    SELECT (SELECT coalesce(max(last_entry_at), '-infinity') >= $2 FROM opening_balances WHERE account_id = $1),
           count(*), CAST(coalesce(sum(entry.amount) FILTER (WHERE transfer.kind = 'payment'), 0) AS bigint),
           count(*) FILTER (WHERE transfer.kind = 'payment')
    FROM (
        SELECT transfer_id, amount, direction FROM entries
        WHERE account_id = $1 AND created_at >= $2 AND created_at < $3 ORDER BY created_at, seq LIMIT $4
    ) entry LEFT JOIN LATERAL (
        SELECT kind FROM transfers WHERE id = entry.transfer_id AND entry.direction = 'CREDIT' OFFSET 0
    ) transfer ON true
"""
QUARTER_ENTRIES = 5_000
"""A moment within a quarter of an hour is exact up to so many entries before it in that quarter."""
HOURS = 24
_QUARTER = timedelta(minutes=15)


async def inflow_between(source: Source, account_id: UUID, boundaries: Sequence[datetime]) -> list[Inflow]:
    """The inflow from each boundary until the next. Boundaries ascend and are multiples of 15 minutes in UTC."""
    rows = await fetch(source, _INFLOW, account_id, boundaries[0], boundaries[-1], list(boundaries))
    by_period = {period: Inflow(amount, payments) for period, amount, payments in rows}
    return [by_period.get(period, Inflow()) for period in range(1, len(boundaries))]


async def inflow_and_hours(
    source: Source,
    account_id: UUID,
    boundaries: Sequence[datetime],
    hours_from: datetime,
    offsets: Sequence[tuple[datetime, int]],
) -> tuple[list[Inflow], list[Inflow]]:
    """As `inflow_between`, and the inflow from `hours_from` on by the hour of the day, from 0 to 23, at one moment.

    `offsets` say from which moments on a clock is how many seconds ahead of UTC, the first from `hours_from` on.
    """
    rows = await fetch(
        source,
        _INFLOW_AND_HOURS,
        account_id,
        boundaries[0],
        boundaries[-1],
        list(boundaries),
        hours_from,
        [moment for moment, _ in offsets],
        [seconds for _, seconds in offsets],
    )
    by_period = {period: Inflow(amount, payments) for period, _, amount, payments in rows if period is not None}
    by_hour = {hour: Inflow(amount, payments) for _, hour, amount, payments in rows if hour is not None}
    periods = [by_period.get(period, Inflow()) for period in range(1, len(boundaries))]
    return periods, [by_hour.get(hour, Inflow()) for hour in range(HOURS)]


def quarter_of(moment: datetime) -> datetime:
    """When the quarter of an hour that contains `moment` begins, in UTC."""
    moment = moment.astimezone(UTC)
    return moment - (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)) % _QUARTER


async def inflow_of_quarter_until(source: Source, account_id: UUID, moment: datetime) -> tuple[Inflow, datetime]:
    """The inflow from `quarter_of(moment)`, and until when it is counted: to `moment`, or not at all if there are more
    than QUARTER_ENTRIES entries, or some of them are archived.
    """
    begins = quarter_of(moment)
    if begins == moment:
        return Inflow(), moment
    rows = await fetch(source, _PART_OF_A_QUARTER, account_id, begins, moment, QUARTER_ENTRIES + 1)
    ((is_archived, entries, amount, payments),) = rows
    if is_archived or entries > QUARTER_ENTRIES:
        return Inflow(), begins
    return Inflow(amount, payments), moment
