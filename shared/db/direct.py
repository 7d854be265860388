"""The driver's own connection, for statements that run so often that nothing may stand between them and Postgres.

A session costs more CPU than the statements of a transfer: it builds, compiles and adapts each of them, and returns to
its caller through a greenlet. Code on the way of a transfer, and of reads that come as often, uses asyncpg itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

IS_STANDBY = "pg_is_in_recovery()"
"""The last column of a statement that decides who is calling. A connection of our own leads to the primary; behind a
pooler, each transaction may reach another server."""


def of_primary(rows: Sequence[asyncpg.Record]) -> Sequence[asyncpg.Record]:
    """Rows that end with IS_STANDBY. Raises TargetServerAttributeNotMatched where a standby has answered."""
    if rows and rows[0][-1]:
        raise asyncpg.TargetServerAttributeNotMatched("a standby answered in place of the primary")
    return rows


@asynccontextmanager
async def direct_connection(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the engine's pool for as long as the block lasts, outside any transaction.

    The driver's exceptions come unwrapped: `shared.db.outages` knows them too. A connection that breaks within the
    block does not return to the pool, and neither does one whose transaction is not known to have ended, or whose
    server rejects writes.
    """
    pooled = await engine.raw_connection()
    connection = pooled.driver_connection
    assert connection is not None
    is_usable = True
    try:
        yield connection
    except (asyncio.CancelledError, TimeoutError):
        is_usable = False  # no answer was awaited: a BEGIN, COMMIT or ROLLBACK may still happen
        raise
    except (asyncpg.ReadOnlySQLTransactionError, asyncpg.TargetServerAttributeNotMatched):
        is_usable = False  # another server may have taken its place
        raise
    finally:
        # The pool rolls back only what its sessions begin. The driver takes a BEGIN that was cancelled for the outer
        # transaction of the next one, whose COMMIT would then only release a savepoint.
        if not is_usable or connection.is_closed() or connection.is_in_transaction():
            await greenlet_spawn(pooled.invalidate)
        await greenlet_spawn(pooled.close)


@asynccontextmanager
async def begun(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A transaction on a connection, committed when the block ends and rolled back when it raises.

    A connection whose BEGIN fails is lost: the driver takes what failed for the outer transaction of each later one,
    which would fail at its savepoint.
    """
    has_begun = False
    try:
        async with connection.transaction(isolation="read_committed"):
            has_begun = True
            yield
    finally:
        if not has_begun:
            connection.terminate()


@asynccontextmanager
async def direct_transaction(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A transaction on a connection of its own, committed when the block ends and rolled back when it raises.

    Each statement sees what was committed before it began, also while it waited for a lock. Raises InterfaceError if
    the commit did not end the transaction: the driver then took this block for a part of an earlier transaction, and
    only released a savepoint. What the block did is lost with the connection, so it must not be answered.
    """
    async with direct_connection(engine) as connection:
        async with begun(connection):
            yield connection
        if connection.is_in_transaction():
            raise asyncpg.InterfaceError("the transaction has not ended")
