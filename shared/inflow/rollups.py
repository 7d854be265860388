"""Reading inflow between moments: the roll-ups, and the entries above the watermark that are not rolled up yet.

So the totals equal the ledger's at every moment, whether or not the roll-ups are up to date (see `commands`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.db.reads import Source, fetch
from shared.inflow.views import Inflow

# One statement reads one snapshot: a roll-up that commits meanwhile is seen whole or not at all. Python computes the
# boundaries, so that one time zone database decides everywhere. The planner cannot know that few entries lie above the
# watermark; OFFSET 0 keeps it from reading all transfers instead.
_INFLOW = """
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
    SELECT width_bucket(at, $4::timestamptz[]) AS period,
           CAST(sum(amount) AS bigint) AS amount, CAST(sum(payments) AS bigint) AS payments
    FROM received GROUP BY period
"""


async def inflow_between(source: Source, account_id: UUID, boundaries: Sequence[datetime]) -> list[Inflow]:
    """The inflow from each boundary until the next. Boundaries ascend and are multiples of 15 minutes in UTC."""
    rows = await fetch(source, _INFLOW, account_id, boundaries[0], boundaries[-1], list(boundaries))
    by_period = {period: Inflow(amount, payments) for period, amount, payments in rows}
    return [by_period.get(period, Inflow()) for period in range(1, len(boundaries))]
