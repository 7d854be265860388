"""Statements that only read, where a request needs no transaction: one round trip each.

A query function takes a `Source`: the session of a transaction whose changes it must see, or else `Reads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.db.direct import direct_connection
from shared.db.retries import retried
from shared.db.transaction import SessionTransaction

Row = Sequence[Any]


class Reads:
    """Runs each statement on a connection of the pool, outside any transaction: it sees what is committed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def fetch(self, query: str, /, *arguments: Any) -> Sequence[Row]:
        """The rows of a SELECT with `$1`, `$2`, ... Raises what the driver raises."""
        return await retried(lambda: self._fetch(query, arguments))

    async def _fetch(self, query: str, arguments: Sequence[Any]) -> Sequence[Row]:
        async with direct_connection(self._engine) as connection:
            rows: Sequence[Row] = await connection.fetch(query, *arguments)
            return rows


Source = Reads | AsyncSession


async def fetch(source: Source, query: str, /, *arguments: Any) -> Sequence[Row]:
    """The rows of a SELECT. In a session, its changes are written before."""
    if isinstance(source, Reads):
        return await source.fetch(query, *arguments)
    await source.flush()
    return await SessionTransaction(source).fetch(query, *arguments)
