"""Round trips to Postgres, counted by the server: `pg_stat_statements` while one load runs.

It counts statements as clients send them, BEGIN and COMMIT among them, not those inside functions, triggers and
foreign keys. With prepared statements each is one round trip. Preparing them is not counted; it happens once per
connection and statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

_COUNT = """
    SELECT query, calls, total_exec_time AS ms FROM pg_stat_statements
    WHERE userid = $1::regrole AND dbid = (SELECT oid FROM pg_database WHERE datname = 'batua') ORDER BY calls DESC
"""
_LONGEST_QUERY = 100


@dataclass
class Statements:
    """How often a role sent each statement, and the milliseconds that Postgres worked on it in all."""

    calls: dict[str, int] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def all_calls(self) -> int:
        """All statements."""
        return sum(self.calls.values())


@asynccontextmanager
async def counted(superuser_url: str, role: str) -> AsyncIterator[Statements]:
    """What the role sends while the block runs."""
    connection = await asyncpg.connect(superuser_url)
    found = Statements()
    try:
        await _track(connection, "top")
        await connection.execute("SELECT pg_stat_statements_reset()")
        yield found
        for row in await connection.fetch(_COUNT, role):
            query = " ".join(row["query"].split())[:_LONGEST_QUERY]
            found.calls[query] = found.calls.get(query, 0) + row["calls"]
            found.ms[query] = found.ms.get(query, 0.0) + row["ms"]
        await _track(connection, "none")
    finally:
        await connection.close()


async def _track(connection: asyncpg.Connection, what: str) -> None:
    await connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'")
    await connection.execute("SELECT pg_reload_conf()")
