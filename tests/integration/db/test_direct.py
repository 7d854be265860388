"""The driver's own connection returns to the pool in a state that the next caller can use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import DatabaseSettings
from shared.db import direct
from shared.db.direct import direct_connection, direct_transaction
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.outages import is_momentary
from tests.support.database_faults import Fault, Faults, faulty_engines
from tests.support.waiting import eventually_async

# What the connection itself can see, so that nothing is left behind: a commit that takes a minute.
_SLOW_COMMIT = """
    CREATE TEMPORARY TABLE slow (id int);
    CREATE FUNCTION pg_temp.wait() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(60);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pg_temp.wait();
"""
_COMMITTING = text("""
    SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event = 'PgSleep' AND query LIKE 'COMMIT%')
""")


@pytest.fixture
async def single(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection, so that the next caller gets the one that was just returned."""
    engine = create_engine(
        DatabaseSettings(database_url=SecretStr(database_url)), application_name="tests", pool_size=1
    )
    yield engine
    await engine.dispose()


async def test_a_commit_that_was_cancelled_spoils_no_later_transaction(
    single: AsyncEngine, sessionmaker: SessionMaker
) -> None:
    async def commit_slowly() -> None:
        async with direct_connection(single) as connection:
            await connection.execute(_SLOW_COMMIT)
            async with connection.transaction():
                await connection.execute("INSERT INTO slow VALUES (1)")

    async def is_committing() -> bool:
        async with sessionmaker() as session:
            return bool(await session.scalar(_COMMITTING))

    committing = asyncio.create_task(commit_slowly())
    await eventually_async(is_committing, "the commit has begun")
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    async with direct_connection(single) as connection, connection.transaction():
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_transaction_that_was_never_rolled_back_spoils_no_later_one(single: AsyncEngine) -> None:
    async def wait_in_transaction() -> None:
        async with direct_connection(single) as connection, connection.transaction():
            is_waiting.set()
            await connection.execute("SELECT pg_sleep(60)")

    is_waiting = asyncio.Event()
    waiting = asyncio.create_task(wait_in_transaction())
    await is_waiting.wait()
    await asyncio.sleep(0)
    for _ in range(2):  # the statement, and the ROLLBACK that follows
        waiting.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with direct_connection(single) as connection, connection.transaction():
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_begin_that_was_cancelled_is_not_the_outer_transaction_of_the_next(single: AsyncEngine) -> None:
    """Otherwise the next commit releases a savepoint: answered, and never committed."""

    async def begin() -> None:
        async with direct_connection(single) as connection, connection.transaction():
            raise AssertionError("the transaction must not begin")

    async with direct_connection(single) as connection:  # so that the next task reaches BEGIN at once
        assert await connection.fetchval("SELECT 1") == 1
    for steps in range(20):  # one of them is in the middle of BEGIN
        beginning = asyncio.create_task(begin())
        for _ in range(steps):
            await asyncio.sleep(0)
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        async with direct_connection(single) as connection:
            async with connection.transaction():
                await connection.execute("SELECT 1")
            assert not connection.is_in_transaction()


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Says what befalls the connections of `single`."""
    with faulty_engines("tests") as faults:
        yield faults


async def test_a_begin_that_failed_is_not_the_outer_transaction_of_the_next(
    faults: Faults, single: AsyncEngine
) -> None:
    async with direct_transaction(single):  # it is connected now
        pass
    faults.begin(at=0, fault=Fault.SERIALIZATION)
    with pytest.raises(asyncpg.SerializationError):
        async with direct_transaction(single):
            raise AssertionError("the transaction must not begin")
    assert [statement[:5] for statement in faults.seen] == ["BEGIN"]
    faults.end()
    async with direct_transaction(single) as connection:
        assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("is_readonly", [False, True])
async def test_a_begin_of_a_session_that_failed_is_not_the_outer_transaction_of_the_next(
    faults: Faults, single: AsyncEngine, is_readonly: bool
) -> None:
    sessionmaker = create_sessionmaker(single.execution_options(postgresql_readonly=is_readonly))
    async with sessionmaker() as session:
        await session.execute(text("SELECT 1"))
    faults.begin(at=0, fault=Fault.SERIALIZATION)
    with pytest.raises(DBAPIError) as caught:
        async with sessionmaker() as session:
            await session.execute(text("SELECT 1"))
    assert is_momentary(caught.value)
    assert [statement[:5] for statement in faults.seen] == ["BEGIN"]
    faults.end()
    async with sessionmaker() as session:
        assert await session.scalar(text("SELECT 1")) == 1


@pytest.mark.parametrize("isolation_level", ["READ COMMITTED", "AUTOCOMMIT"])
async def test_a_statement_that_fails_costs_no_connection(single: AsyncEngine, isolation_level: str) -> None:
    sessionmaker = create_sessionmaker(single.execution_options(isolation_level=isolation_level))
    used: set[int] = set()
    for _ in range(2):
        async with sessionmaker() as session:
            used.add(await session.scalar(text("SELECT pg_backend_pid()")) or 0)
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT 1 / 0"))
    assert len(used) == 1


async def test_a_commit_that_only_released_a_savepoint_is_no_commit(
    single: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the connection is in a transaction that its earlier user began."""

    @asynccontextmanager
    async def within_an_earlier_transaction(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
        async with direct_connection(engine) as connection:
            await connection.transaction().start()
            yield connection

    monkeypatch.setattr(direct, "direct_connection", within_an_earlier_transaction)
    with pytest.raises(asyncpg.InterfaceError, match="not ended"):
        async with direct_transaction(single) as connection:
            await connection.execute("CREATE TABLE answered_rows (n int)")
    async with direct_connection(single) as connection:
        assert await connection.fetchval("SELECT to_regclass('answered_rows')") is None


async def test_a_connection_whose_server_rejects_writes_does_not_return_to_the_pool(single: AsyncEngine) -> None:
    async with direct_connection(single) as connection:
        demoted = await connection.fetchval("SELECT pg_backend_pid()")
        await connection.execute("SET default_transaction_read_only = on")

    async def write() -> None:
        async with direct_transaction(single) as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") == demoted
            await connection.execute("CREATE TABLE rejected (n int)")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write()
    async with direct_connection(single) as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != demoted
