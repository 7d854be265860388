"""What a process opens to reach Postgres. A service that needs no more than that loads nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.reads import Reads

DIRECT_POOL_SIZE = 7
"""One for each kind of gathered question, each lane of transfers, and bulk requests: each keeps one while it works."""
# Every statement there finds rows by key, and a plan for each would cost more than its rows: 1.5 ms of CPU against 0.15
# for one question. A plan that is kept must not read whole tables or indexes because they were small when it was made.
LOOK_UP_BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
RETURN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Database:
    """Two engines, and three kinds of sessions on the connections of the first."""

    engine: AsyncEngine
    direct_engine: AsyncEngine
    """A few connections for gathered questions and gathered transfers alone: one of them serves many requests at once,
    so none may wait behind the requests that hold the connections of `engine`."""
    sessionmaker: SessionMaker
    """Sessions that write: a transaction each."""
    read_sessionmaker: SessionMaker
    """Sessions that read: a transaction each, in which Postgres rejects every write."""
    lookup_sessionmaker: SessionMaker
    """Sessions for one SELECT: no transaction around it, so half the round trips."""
    reads: Reads
    """The same without a session, for statements written as text."""


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, application_name: str) -> AsyncIterator[Database]:
    """Engines and sessions of one process. Nothing connects before the first statement."""
    engine = create_engine(settings, application_name=application_name)
    direct_engine = create_engine(
        settings, application_name=application_name, pool_size=DIRECT_POOL_SIZE, planner=LOOK_UP_BY_KEY
    )
    try:
        yield Database(
            engine=engine,
            direct_engine=direct_engine,
            sessionmaker=create_sessionmaker(engine),
            read_sessionmaker=create_sessionmaker(engine.execution_options(postgresql_readonly=True)),
            lookup_sessionmaker=create_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT")),
            reads=Reads(engine),
        )
    finally:
        await _wait_for_return(direct_engine)
        await direct_engine.dispose()
        await engine.dispose()


async def _wait_for_return(engine: AsyncEngine) -> None:
    """Wait, for at most RETURN_SECONDS, for statements whose callers have left: a closed engine leaves theirs open."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    ends_at = asyncio.get_running_loop().time() + RETURN_SECONDS
    while pool.checkedout() and asyncio.get_running_loop().time() < ends_at:  # noqa: ASYNC110 - a pool has no event
        await asyncio.sleep(RETURN_SECONDS / 100)
