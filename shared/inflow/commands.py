"""Rolling up: the payments to a shop are added into one row per quarter of an hour.

The entries of an account are numbered without a gap and become visible in that order. So one number per account, the
watermark, says what the roll-ups contain: every entry up to it, and none above it. The number of an entry decides
whether it is rolled up, its time only into which quarter; clocks that disagree by seconds therefore do no harm.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker

ENTRIES_PER_ROLL_UP = 20_000
"""The most entries of one database transaction."""
SHOPS_PER_RUN = 500
ROLL_UPS_PER_SHOP = 20
"""In one run, which takes the shops in turns: a long backlog does not delay the others."""

# The shop that is furthest behind comes first: its readers add up the most entries.
_SHOPS_BEHIND = text("""
    SELECT account.id FROM accounts account LEFT JOIN inflow_watermarks mark ON mark.account_id = account.id
    WHERE account.kind = 'merchant' AND account.seq > coalesce(mark.seq, 0)
    ORDER BY account.seq - coalesce(mark.seq, 0) DESC LIMIT :limit
""")
# NOT EXISTS, because an insert waits while another transaction changes the row it meets.
_CREATE_WATERMARK = text("""
    INSERT INTO inflow_watermarks (account_id, seq)
    SELECT id, 0 FROM accounts
    WHERE id = :account_id AND kind = 'merchant' AND NOT EXISTS (
        SELECT 1 FROM inflow_watermarks WHERE account_id = :account_id
    )
    ON CONFLICT DO NOTHING
""")
# SKIP LOCKED, because the transaction that holds the lock does this very work.
_LOCK_WATERMARK = text("""
    SELECT mark.seq AS after, least(account.seq, mark.seq + CAST(:most AS bigint)) AS upto
    FROM inflow_watermarks mark JOIN accounts account ON account.id = mark.account_id
    WHERE mark.account_id = :account_id FOR UPDATE OF mark SKIP LOCKED
""")
_ADD_ENTRIES = text("""
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
_MOVE_WATERMARK = text("UPDATE inflow_watermarks SET seq = :upto WHERE account_id = :account_id")


async def roll_up(session: AsyncSession, account_id: UUID) -> int:
    """Roll up the next ENTRIES_PER_ROLL_UP entries of a shop's account and answer their number. The caller commits.

    Answers 0 while another database transaction rolls up this account, and for an account that is not a shop's.
    """
    await session.execute(_CREATE_WATERMARK, {"account_id": account_id})
    locked = await session.execute(_LOCK_WATERMARK, {"account_id": account_id, "most": ENTRIES_PER_ROLL_UP})
    span = locked.one_or_none()
    if span is None or span.upto <= span.after:
        return 0
    await session.execute(_ADD_ENTRIES, {"account_id": account_id, "after": span.after, "upto": span.upto})
    await session.execute(_MOVE_WATERMARK, {"account_id": account_id, "upto": span.upto})
    return int(span.upto - span.after)


async def roll_up_all(sessionmaker: SessionMaker) -> int:
    """Roll up every shop that is behind, within the bounds of one run, and answer the number of entries."""
    async with sessionmaker() as session:
        account_ids = list(await session.scalars(_SHOPS_BEHIND, {"limit": SHOPS_PER_RUN}))
    total = 0
    for _ in range(ROLL_UPS_PER_SHOP):
        still_behind = []
        for account_id in account_ids:
            async with sessionmaker.begin() as session:
                entries = await roll_up(session, account_id)
            total += entries
            if entries == ENTRIES_PER_ROLL_UP:
                still_behind.append(account_id)
        account_ids = still_behind
    return total
