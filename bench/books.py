"""Years of a busy shop in seconds: valid books, written in a few statements instead of a million.

The only place that writes the ledger's tables without the ledger, on a database of its own; the proof is run on it.
"""

from __future__ import annotations

from uuid import UUID

import asyncpg

LOAD_SECONDS = 600.0
BUYERS = 40
RICH = 10**12
"""Paise that each buyer begins with; far more than is spent."""

# Buyers take turns; sixteen hours a day; amounts from 10.00 to 510.00. Numbered from where the accounts stand.
_PLAN = """
    CREATE TEMPORARY TABLE paid ON COMMIT DROP AS
    SELECT n, uuidv7(at - now()) AS id, at, 1000 + n * 7919 % 50000 AS amount, buyer.account_id, buyer.owner_id,
           $5::uuid AS shop_id
    FROM (
        SELECT n, n % $3::bigint AS turn,
               now() - make_interval(days => $4::int) + make_interval(days => (n * $4 / ($2 + 1))::int)
               + interval '16 hours' * (n * $4 % ($2 + 1)) / ($2 + 1) AS at
        FROM generate_series(1, $2::bigint) AS n
    ) moment
    JOIN (
        SELECT row_number() OVER () - 1 AS turn, account_id, owner_id
        FROM (SELECT id AS account_id, owner_id FROM accounts WHERE id = ANY($1::uuid[])) one
    ) buyer USING (turn)
"""
_STEPS = (
    """
    INSERT INTO transfers
        (id, kind, debit_account_id, credit_account_id, amount, currency, note, initiated_by, created_at)
    SELECT id, 'payment', account_id, shop_id, amount, 'INR', CASE n % 3 WHEN 0 THEN 'Chai' END, owner_id, at
    FROM paid ORDER BY n
    """,
    """
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    SELECT shop.id, shop.seq + n, paid.id, 'CREDIT', amount, shop.balance + sum(amount) OVER (ORDER BY n), at
    FROM paid JOIN accounts shop ON shop.id = shop_id ORDER BY n
    """,
    """
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    SELECT buyer.id, buyer.seq + row_number() OVER turns, paid.id, 'DEBIT', amount,
           buyer.balance - sum(amount) OVER turns, at
    FROM paid JOIN accounts buyer ON buyer.id = paid.account_id
    WINDOW turns AS (PARTITION BY buyer.id ORDER BY n) ORDER BY buyer.id, n
    """,
    """
    UPDATE accounts SET seq = seq + spent.payments, balance = balance - spent.amount
    FROM (SELECT account_id, count(*) AS payments, sum(amount) AS amount FROM paid GROUP BY account_id) spent
    WHERE accounts.id = spent.account_id
    """,
    """
    UPDATE accounts SET seq = seq + taken.payments, balance = balance + taken.amount
    FROM (SELECT shop_id, count(*) AS payments, sum(amount) AS amount FROM paid GROUP BY shop_id) taken
    WHERE accounts.id = taken.shop_id
    """,
)


async def load_payments(superuser_url: str, *, shop: UUID, buyers: list[UUID], payments: int, days: int) -> None:
    """So many payments to the shop's account, spread over the last `days` days, up to now."""
    connection = await asyncpg.connect(superuser_url, timeout=10, command_timeout=LOAD_SECONDS)
    try:
        async with connection.transaction():
            # What foreign keys and triggers would check row by row is checked by the proof afterwards.
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("SET LOCAL work_mem = '256MB'")
            await connection.execute(_PLAN, buyers, payments, len(buyers), days, shop)
            for step in _STEPS:
                await connection.execute(step)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
