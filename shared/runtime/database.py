"""What a process opens to reach Postgres. A service that needs no more than that loads nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.reads import Reads
from shared.db.replica import Mark, ReadsOfHistory, Replica, watched
from shared.db.retries import in_transaction
from shared.db.settings import ReplicaSettings
from shared.ledger.accounts import Wallet
from shared.runtime.sampling import Samples, of_pool, sampling
from shared.runtime.tracing import trace_statements

DIRECT_POOL_SIZE = 8
"""One for each kind of gathered question, each lane of transfers, and bulk requests: each keeps one while it works."""
# Every statement there finds rows by key, and a plan for each would cost more than its rows: 1.5 ms of CPU against 0.15
# for one question. A plan that is kept must not read whole tables or indexes because they were small when it was made.
# Nor does it pay to remember rows within a statement: nearly every line of a statement has another transfer.
LOOK_UP_BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_memoize": "off",
}
RETURN_SECONDS = 2.0
REPLICA_POOL_SECONDS = 1.0
"""For a free connection to the replica; then the primary answers."""
_NEWEST_SEQ = "SELECT seq FROM accounts WHERE id = $1"
Answer = TypeVar("Answer")


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
    replica: Replica | None
    """Answers reads of histories, where one is set."""

    def history(self, account_id: UUID, seq: int) -> Reads:
        """Reads of an account's history, which show entry `seq`: the newest, as the primary has just said."""
        if self.replica is None:
            return self.reads
        return ReadsOfHistory(self.reads, self.replica, Mark(account_id, seq))

    async def history_of(self, wallet: Wallet, account_id: UUID | None) -> Reads:
        """The same for the caller's wallet, or for another account that is named."""
        if self.replica is None:
            return self.reads
        if account_id is None or account_id == wallet.account_id:
            return self.history(wallet.account_id, wallet.seq)
        rows = await self.reads.fetch(_NEWEST_SEQ, account_id)
        return self.history(account_id, rows[0][0] if rows else 0)

    async def read(self, work: Callable[[AsyncSession], Awaitable[Answer]]) -> Answer:
        """What `work` reads in a session in which Postgres rejects every write. It may run more than once."""
        return await in_transaction(self.read_sessionmaker, work)

    async def search(self, work: Callable[[AsyncSession], Awaitable[Answer]]) -> Answer:
        """What `work` reads in a session, where an answer that is as old as the replica may be will do."""
        if self.replica is not None:
            return await self.replica.ask(work, self.read_sessionmaker)
        return await self.read(work)


@asynccontextmanager
async def open_database(
    settings: DatabaseSettings, *, application_name: str, replicas: ReplicaSettings | None = None
) -> AsyncIterator[Database]:
    """Engines and sessions of one process. Nothing connects before the first statement, but to a replica."""
    async with AsyncExitStack() as stack:
        engine, direct_engine = await _open_engines(stack, settings, application_name)
        replica = None
        if replicas is not None and replicas.read_database_url is not None:
            replica = await stack.enter_async_context(_open_replica(settings, replicas, application_name, engine))
        await stack.enter_async_context(sampling(_pool("sessions", engine), _pool("direct", direct_engine)))
        yield Database(
            engine=engine,
            direct_engine=direct_engine,
            sessionmaker=create_sessionmaker(engine),
            read_sessionmaker=create_sessionmaker(engine.execution_options(postgresql_readonly=True)),
            lookup_sessionmaker=create_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT")),
            reads=Reads(engine),
            replica=replica,
        )


@asynccontextmanager
async def _open_replica(
    settings: DatabaseSettings, replicas: ReplicaSettings, application_name: str, primary: AsyncEngine
) -> AsyncIterator[Replica]:
    own = {"database_url": replicas.read_database_url, "database_pool_timeout_seconds": REPLICA_POOL_SECONDS}
    standby = settings.model_copy(update=own)
    async with AsyncExitStack() as stack:
        engine, direct_engine = await _open_engines(stack, standby, application_name, may_be_standby=True)
        replica = Replica(
            engine,
            direct_engine,
            primary=primary,
            lag_seconds=replicas.read_lag_seconds,
            is_pooled=settings.database_pooler == "transaction",
        )
        yield await stack.enter_async_context(watched(replica))


async def _open_engines(
    stack: AsyncExitStack, settings: DatabaseSettings, application_name: str, *, may_be_standby: bool = False
) -> tuple[AsyncEngine, AsyncEngine]:
    """For sessions, and for gathered work."""
    engine = create_engine(settings, application_name=application_name, may_be_standby=may_be_standby)
    trace_statements(engine)
    stack.push_async_callback(engine.dispose)
    direct_engine = create_engine(
        settings,
        application_name=application_name,
        pool_size=DIRECT_POOL_SIZE,
        planner=LOOK_UP_BY_KEY,
        may_be_standby=may_be_standby,
    )
    stack.push_async_callback(direct_engine.dispose)
    stack.push_async_callback(_wait_for_return, direct_engine)
    return engine, direct_engine


def _pool(name: str, engine: AsyncEngine) -> Samples:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return of_pool(name, in_use=pool.checkedout, most=pool.size)


async def _wait_for_return(engine: AsyncEngine) -> None:
    """Wait, for at most RETURN_SECONDS, for statements whose callers have left: a closed engine leaves theirs open."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    ends_at = asyncio.get_running_loop().time() + RETURN_SECONDS
    while pool.checkedout() and asyncio.get_running_loop().time() < ends_at:  # noqa: ASYNC110 - a pool has no event
        await asyncio.sleep(RETURN_SECONDS / 100)
