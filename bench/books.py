"""Years of history in seconds: valid books, written in a few statements instead of a million.

The only place that writes the ledger's tables without the ledger, on a database of its own; the proof is run on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from shared.ledger.system_accounts import FUNDING

LOAD_SECONDS = 1800.0
BUYERS = 40
RICH = 10**12
"""Paise that each buyer begins with; far more than is spent."""
ENTRIES_PER_PERSON = 50
"""One person for so many entries: about 30 are the person's own."""

# What moves, in the order in which it happens; `number` may have gaps.
_MOVED = """
    CREATE TEMPORARY TABLE moved (
        number bigint, id uuid, kind text, debit_id uuid, credit_id uuid, amount bigint, note text, owner_id uuid,
        reverses uuid, at timestamptz
    ) ON COMMIT DROP
"""
# Buyers take turns; sixteen hours a day; amounts from 10.00 to 510.00.
_PAYMENTS = """
    INSERT INTO moved
    SELECT number, uuidv7(at - now()), 'payment', buyer.account_id, $5::uuid, 1000 + number * 7919 % 50000,
           CASE number % 3 WHEN 0 THEN 'Chai' END, buyer.owner_id, NULL, at
    FROM (
        SELECT number, number % $3::bigint AS turn,
               now() - make_interval(days => $4::int) + make_interval(days => (number * $4 / ($2 + 1))::int)
               + interval '16 hours' * (number * $4 % ($2 + 1)) / ($2 + 1) AS at
        FROM generate_series(1, $2::bigint) AS number
    ) moment
    JOIN (
        SELECT row_number() OVER () - 1 AS turn, account_id, owner_id
        FROM (SELECT id AS account_id, owner_id FROM accounts WHERE id = ANY($1::uuid[])) one
    ) buyer USING (turn)
"""
_PEOPLE = """
    CREATE TEMPORARY TABLE person ON COMMIT DROP AS
    SELECT turn - 1 AS turn, uuidv7() AS owner_id, uuidv7() AS account_id, 'p' || turn AS name
    FROM generate_series(1, $1::bigint) AS turn
"""
_SIGN_UPS = (
    """
    WITH owner AS (
        INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)
        SELECT owner_id, 'user', name || '@books.example', '!', '!', now() - make_interval(days => $1::int) FROM person
    )
    INSERT INTO users (id, first_name, last_name) SELECT owner_id, 'Person', initcap(name) FROM person
    """,
    """
    INSERT INTO accounts (id, owner_id, kind, name, handle, currency, created_at)
    SELECT account_id, owner_id, 'wallet', name, name || '@batua', 'INR', now() - make_interval(days => $1::int)
    FROM person
    """,
)
# Everyone is funded first. Then of five movements three are payments to the shop, two go from one person to another.
# The ones that are for a person, and for whom, look random and are the same in every run.
_YEARS = """
    INSERT INTO moved
    WITH step AS (
        SELECT number, now() - make_interval(days => $2::int) * (1 - number::float8 / ($1 + 1)) AS at,
               number * 7919 % $3 AS one, (number * 7919 + 1 + number * 104729 % ($3 - 1)) % $3 AS other
        FROM generate_series(1, $1::bigint) AS number
    )
    SELECT number * 2, uuidv7(at - now()), 'funding', $5::uuid, account_id, 1000000000, NULL,
           CAST(NULL AS uuid), CAST(NULL AS uuid), at
    FROM step JOIN person ON turn = number - 1 WHERE number <= $3::bigint
    UNION ALL
    SELECT number * 2, uuidv7(at - now()), CASE WHEN to_shop THEN 'payment' ELSE 'p2p' END, payer.account_id,
           CASE WHEN to_shop THEN $4::uuid ELSE payee.account_id END, 1000 + number * 7919 % 50000,
           CASE number % 1000 WHEN 1 THEN 'Monsoon sale' ELSE CASE number % 3 WHEN 0 THEN 'Chai' END END,
           payer.owner_id, CAST(NULL AS uuid), at
    FROM (SELECT *, number % 5 < 3 AS to_shop FROM step WHERE number > $3) movement
    JOIN person payer ON payer.turn = one JOIN person payee ON payee.turn = other
"""
# One payment of a hundred is given back a moment later, half of these whole.
_REFUNDS = """
    INSERT INTO moved
    SELECT number + 1, uuidv7(at - now()), 'refund', credit_id, debit_id,
           CASE number % 4 WHEN 0 THEN amount ELSE amount / 2 END, NULL, $1::uuid, id, at
    FROM moved WHERE kind = 'payment' AND number % 167 = 0
"""
_STEPS = (
    """
    INSERT INTO transfers
        (id, kind, debit_account_id, credit_account_id, amount, currency, note, initiated_by, reverses, created_at)
    SELECT id, kind, debit_id, credit_id, amount, 'INR', note, owner_id, reverses, at FROM moved ORDER BY number
    """,
    """
    INSERT INTO reversed_totals (transfer_id, amount, reversed)
    SELECT original.id, original.amount, sum(moved.amount)
    FROM moved JOIN transfers original ON original.id = moved.reverses GROUP BY original.id
    """,
    """
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    SELECT account_id, account.seq + row_number() OVER account, line.id, direction, abs(signed),
           account.balance + sum(signed) OVER account, at
    FROM (
        SELECT number, debit_id AS account_id, id, 'DEBIT' AS direction, -amount AS signed, at FROM moved
        UNION ALL SELECT number, credit_id, id, 'CREDIT', amount, at FROM moved
    ) line JOIN accounts account ON account.id = account_id
    WINDOW account AS (PARTITION BY account_id ORDER BY number) ORDER BY number
    """,
    """
    UPDATE accounts SET seq = seq + lines.entries, balance = balance + lines.amount
    FROM (
        SELECT account_id, count(*) AS entries, sum(signed) AS amount
        FROM (SELECT debit_id AS account_id, -amount AS signed FROM moved UNION ALL SELECT credit_id, amount FROM moved)
             line
        GROUP BY account_id
    ) lines
    WHERE accounts.id = lines.account_id
    """,
)
# Millions of entries are indexed in a tenth of the time when the indexes are built afterwards.
_KEYS_OF_ENTRIES = """
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid = 'entries'::regclass AND contype IN ('p', 'u')
"""
_INDEXES_OF_ENTRIES = """
    SELECT indexname AS name, indexdef AS definition FROM pg_indexes
    WHERE tablename = 'entries' AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


async def load_payments(superuser_url: str, *, shop: UUID, buyers: list[UUID], payments: int, days: int) -> None:
    """So many payments to the shop's account, spread over the last `days` days, up to now."""
    await _load(superuser_url, (_MOVED,), (_PAYMENTS, buyers, payments, len(buyers), days, shop))


async def load_years(superuser_url: str, *, shop: UUID, shop_owner: UUID, entries: int, days: int) -> None:
    """About so many entries, over the last `days` days: a shop that has three in ten, and people with some thirty each.

    The shape is the same for every number of entries: only the shop's history grows with it, and how many people.
    """
    people = max(2, entries // ENTRIES_PER_PERSON)
    await _load(
        superuser_url,
        (_MOVED,),
        (_PEOPLE, people),
        *((statement, days) for statement in _SIGN_UPS),
        (_YEARS, entries // 2, days, people, shop, FUNDING),
        (_REFUNDS, shop_owner),
    )


async def _load(superuser_url: str, *plan: tuple[object, ...]) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=10, command_timeout=LOAD_SECONDS)
    try:
        async with connection.transaction():
            # What foreign keys and triggers would check row by row is checked by the proof afterwards.
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("SET LOCAL work_mem = '512MB'")
            await connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
            for statement, *values in plan:
                await connection.execute(statement, *values)
            await connection.execute("ANALYZE moved")
            async with _entries_indexed_afterwards(connection):
                for step in _STEPS:
                    await connection.execute(step)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


@asynccontextmanager
async def _entries_indexed_afterwards(connection: Any) -> AsyncIterator[None]:
    keys, indexes = await connection.fetch(_KEYS_OF_ENTRIES), await connection.fetch(_INDEXES_OF_ENTRIES)
    for key in keys:
        await connection.execute(f"ALTER TABLE entries DROP CONSTRAINT {key['name']}")
    for index in indexes:
        await connection.execute(f"DROP INDEX {index['name']}")
    yield
    for key in keys:
        await connection.execute(f"ALTER TABLE entries ADD CONSTRAINT {key['name']} {key['definition']}")
    for index in indexes:
        await connection.execute(index["definition"])
