"""Whether the books cover a payout: the last look before money leaves for a bank, from where no row brings it back."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

NEWEST_ENTRIES = 1_000
"""So many of an account's entries are added up, the newest: nearly every account has fewer, and none costs more."""

# One statement, one snapshot: no lock is needed for balance, entries and holds to be of the same moment. What came
# before the newest entries is taken from the `balance_after` of the oldest of them; the proof adds it up. Where older
# ones are archived, the first that is here follows the opening balance, and without any that balance is the account's.
_COVERED = text("""
    SELECT asked.id FROM withdrawals AS asked
    JOIN accounts AS account ON account.id = asked.account_id AND account.owner_id = asked.owner_id
    JOIN holds AS hold ON hold.id = asked.hold_id AND hold.account_id = account.id
     AND hold.status = 'active' AND hold.amount = asked.amount
    LEFT JOIN opening_balances AS opening ON opening.account_id = account.id
    CROSS JOIN LATERAL (
        SELECT coalesce(max(line.seq), opening.seq) AS last_seq, coalesce(bool_and(line.follows), true) AS follow,
               coalesce(bool_or(line.seq = account.seq AND line.balance_after = account.balance),
                        opening.balance = account.balance) AS last_is_balance
        FROM (
            SELECT seq, balance_after,
                   balance_after = coalesce(lag(balance_after) OVER by_seq,
                                            CASE seq WHEN coalesce(opening.seq, 0) + 1 THEN coalesce(opening.balance, 0)
                                            ELSE balance_after - change END) + change
                   AND seq = coalesce(lag(seq) OVER by_seq + 1, seq) AS follows
            FROM (
                SELECT seq, balance_after, CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END AS change
                FROM entries WHERE account_id = account.id ORDER BY seq DESC LIMIT :newest
            ) AS newest
            WINDOW by_seq AS (ORDER BY seq)
        ) AS line
    ) AS books
    WHERE asked.id = ANY(:ids) AND books.follow AND books.last_is_balance AND books.last_seq = account.seq
      AND hold.amount <= account.held AND account.held <= account.balance
""")


async def not_covered(session: AsyncSession, withdrawal_ids: Collection[UUID]) -> set[UUID]:
    """Those whose hold is not active, not of their amount, or not covered, or whose account's entries do not add up."""
    if not withdrawal_ids:
        return set()
    covered = await session.scalars(_COVERED, {"ids": list(withdrawal_ids), "newest": NEWEST_ENTRIES})
    return set(withdrawal_ids) - set(covered)
