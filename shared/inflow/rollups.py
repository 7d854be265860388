"""Payments to a shop, added up once per quarter of an hour, so that no report adds up a whole history again.

Entries of an account are numbered without a gap and become visible in that order, so one number, the watermark, says
what is in the roll-ups already. What lies above it is added when somebody reads: totals always equal the ledger's.
Quarters are told by when a payment was written, folding by its number; clocks that disagree a little do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker

ENTRIES_PER_FOLD = 20_000
"""What one transaction folds at most."""
SHOPS_PER_RUN = 500
FOLDS_PER_SHOP = 20
"""In one run, which goes round the shops: a long backlog keeps nobody else waiting."""

Sum = tuple[int, int]
"""Paise and number of payments."""

# Behind the most first: their readers wait longest.
_DUE = text("""
    SELECT account.id FROM accounts account LEFT JOIN inflow_watermarks mark ON mark.account_id = account.id
    WHERE account.kind = 'merchant' AND account.seq > coalesce(mark.seq, 0)
    ORDER BY account.seq - coalesce(mark.seq, 0) DESC LIMIT :limit
""")
# Only where there is none: an insert that meets a row being changed would wait for that change.
_BEGIN = text("""
    INSERT INTO inflow_watermarks (account_id, seq)
    SELECT id, 0 FROM accounts
    WHERE id = :account_id AND kind = 'merchant' AND NOT EXISTS (
        SELECT 1 FROM inflow_watermarks WHERE account_id = :account_id
    )
    ON CONFLICT DO NOTHING
""")
# Whoever has the lock does the work; nobody needs to wait for it to do it again.
_LOCK = text("""
    SELECT mark.seq AS after, least(account.seq, mark.seq + CAST(:most AS bigint)) AS upto
    FROM inflow_watermarks mark JOIN accounts account ON account.id = mark.account_id
    WHERE mark.account_id = :account_id FOR UPDATE OF mark SKIP LOCKED
""")
_FOLD = text("""
    INSERT INTO inflow_rollups AS rollup (account_id, quarter_start, amount, payments)
    SELECT entry.account_id, date_bin('15 minutes', entry.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS quarter,
           CAST(sum(entry.amount) AS bigint), count(*)
    FROM entries entry JOIN transfers transfer ON transfer.id = entry.transfer_id
    WHERE entry.account_id = :account_id AND entry.seq > :after AND entry.seq <= :upto
      AND entry.direction = 'CREDIT' AND transfer.kind = 'payment'
    GROUP BY entry.account_id, quarter
    ON CONFLICT (account_id, quarter_start) DO UPDATE
        SET amount = rollup.amount + EXCLUDED.amount, payments = rollup.payments + EXCLUDED.payments
""")
_MOVE_ON = text("UPDATE inflow_watermarks SET seq = :upto WHERE account_id = :account_id")

# One statement, hence one snapshot: a fold that commits meanwhile is seen whole or not at all. The boundaries are
# worked out in Python, so that one time zone database decides everywhere. OFFSET 0 keeps the planner, which cannot
# know how short the tail is, from reading all transfers there are instead of those few.
_TAKEN = text("""
    WITH mark AS MATERIALIZED (
        SELECT coalesce(mark.seq, 0) AS rolled_up, account.seq AS last
        FROM accounts account LEFT JOIN inflow_watermarks mark ON mark.account_id = account.id
        WHERE account.id = :account_id
    ), taken AS (
        SELECT quarter_start AS at, amount, payments FROM inflow_rollups
        WHERE account_id = :account_id AND quarter_start >= :first AND quarter_start < :last
        UNION ALL
        SELECT entry.created_at, entry.amount, 1
        FROM mark CROSS JOIN LATERAL (
            SELECT transfer_id, amount, created_at FROM entries
            WHERE account_id = :account_id AND seq > mark.rolled_up AND seq <= mark.last AND direction = 'CREDIT'
            OFFSET 0
        ) entry CROSS JOIN LATERAL (
            SELECT kind FROM transfers WHERE id = entry.transfer_id OFFSET 0
        ) transfer
        WHERE transfer.kind = 'payment' AND entry.created_at >= :first AND entry.created_at < :last
    )
    SELECT width_bucket(at, CAST(:boundaries AS timestamptz[])) AS period,
           CAST(sum(amount) AS bigint) AS amount, CAST(sum(payments) AS bigint) AS payments
    FROM taken GROUP BY period
""")


async def taken_between(session: AsyncSession, account_id: UUID, boundaries: Sequence[datetime]) -> list[Sum]:
    """Paise and number of payments between each boundary and the next; they ascend and lie at quarters of an hour."""
    rows = await session.execute(
        _TAKEN,
        {
            "account_id": account_id,
            "boundaries": list(boundaries),
            "first": boundaries[0],
            "last": boundaries[-1],
        },
    )
    by_period = {row.period: (row.amount, row.payments) for row in rows}
    return [by_period.get(period, (0, 0)) for period in range(1, len(boundaries))]


async def roll_up(session: AsyncSession, account_id: UUID) -> int:
    """Fold the next ENTRIES_PER_FOLD entries of a shop's account; how many there were. The caller commits.

    0 also where somebody else is folding this very account, and for an account that is no shop's.
    """
    await session.execute(_BEGIN, {"account_id": account_id})
    locked = await session.execute(_LOCK, {"account_id": account_id, "most": ENTRIES_PER_FOLD})
    span = locked.one_or_none()
    if span is None or span.upto <= span.after:
        return 0
    await session.execute(_FOLD, {"account_id": account_id, "after": span.after, "upto": span.upto})
    await session.execute(_MOVE_ON, {"account_id": account_id, "upto": span.upto})
    return int(span.upto - span.after)


async def roll_up_due(sessionmaker: SessionMaker) -> int:
    """Fold what has come in at all shops, within the bounds of one run; how many entries that were."""
    async with sessionmaker() as session:
        due = list(await session.scalars(_DUE, {"limit": SHOPS_PER_RUN}))
    total = 0
    for _ in range(FOLDS_PER_SHOP):
        behind = []
        for account_id in due:
            async with sessionmaker.begin() as session:
                entries = await roll_up(session, account_id)
            total += entries
            if entries == ENTRIES_PER_FOLD:
                behind.append(account_id)
        due = behind
    return total
