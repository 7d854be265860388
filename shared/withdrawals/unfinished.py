"""Withdrawals that have not ended: how many stand where, and since when the oldest waits for a worker, or for the bank.

Both statements read a bounded number of rows by an index, so they may be asked every few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.table import BANKS
from shared.db.columns import sql_values
from shared.models.withdrawal import WithdrawalStatus

MAX_COUNTED = 10_000
"""Rows that are counted of each bank's queue, and of all that is under way, at most: more are too many in any case."""
MAX_LOOKED_THROUGH = 1_000
"""Of a bank's queue, how many are looked through for the oldest that waits for a worker alone."""

# One that waits for an earlier withdrawal of its owner, or whose account is frozen, is not late, however old it is.
_READ_QUEUE = text(f"""
    SELECT banks.bank, 'queued' AS status, counted.count, counted.amount,
           (SELECT min(created_at) FROM (
               SELECT owner_id, account_id, created_at FROM withdrawals
               WHERE withdrawals.bank BETWEEN banks.bank AND banks.bank AND status = 'queued'
               ORDER BY bank, id LIMIT {MAX_LOOKED_THROUGH}
           ) AS head WHERE NOT EXISTS (
               SELECT FROM withdrawals WHERE withdrawals.owner_id = head.owner_id
                   AND status IN {sql_values(WithdrawalStatus.active())}
           ) AND account_id NOT IN (SELECT id FROM accounts WHERE frozen_at IS NOT NULL)) AS oldest_at
    FROM unnest(CAST(:banks AS text[])) AS banks (bank)
    CROSS JOIN LATERAL (
        SELECT count(*) AS count, CAST(coalesce(sum(amount), 0) AS bigint) AS amount FROM (
            SELECT amount FROM withdrawals WHERE withdrawals.bank = banks.bank AND status = 'queued' LIMIT {MAX_COUNTED}
        ) AS queued
    ) AS counted
    WHERE counted.count > 0
""")  # noqa: S608 - statuses of the model
_READ_ACTIVE = text(f"""
    SELECT bank, status, count(*) AS count, CAST(sum(amount) AS bigint) AS amount, min(active_since) AS oldest_at
    FROM (
        SELECT bank, status, amount, active_since FROM withdrawals
        WHERE status IN {sql_values(WithdrawalStatus.active())} LIMIT {MAX_COUNTED}
    ) AS active
    GROUP BY bank, status
""")  # noqa: S608 - statuses of the model


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What one bank has in one status; `amount` in paise.

    `oldest_at` is since when the oldest is under way or, of the queue, when it was asked for; None: nothing in the
    queue waits for a worker alone.
    """

    bank: str
    status: WithdrawalStatus
    count: int
    amount: int
    oldest_at: datetime | None


async def read(session: AsyncSession) -> list[Unfinished]:
    """Every bank and status that has any."""
    queued = await session.execute(_READ_QUEUE, {"banks": list(BANKS)})
    active = await session.execute(_READ_ACTIVE)
    return [
        Unfinished(row.bank, WithdrawalStatus(row.status), row.count, row.amount, row.oldest_at)
        for row in (*queued, *active)
    ]
