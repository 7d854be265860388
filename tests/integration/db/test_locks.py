"""A lock by number excludes others until its transaction ends, whatever the engine makes it of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.config import DatabaseEngine, DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.locks import lock, lock_named, try_lock
from shared.migrations import runner
from tests.support.deadlines import deadline
from tests.support.waiting import until_a_lock_is_awaited

NUMBER, OTHER = 4_711, -(2**63)


@pytest.fixture(params=["postgres", "distributed"])
async def sessions(request: pytest.FixtureRequest, empty_database_url: str) -> AsyncIterator[SessionMaker]:
    """Sessions on a database whose schema was made for that engine."""
    kind: DatabaseEngine = request.param
    await asyncio.to_thread(runner.upgrade, empty_database_url, engine=kind)
    engine = create_engine(DatabaseSettings(database_url=empty_database_url), application_name="tests")
    yield create_sessionmaker(engine)
    await engine.dispose()


async def test_what_is_held_is_not_had_until_the_transaction_ends(sessions: SessionMaker) -> None:
    for end in ("commit", "rollback"):
        async with sessions() as holder, sessions() as other:
            assert await try_lock(holder, NUMBER)
            assert await try_lock(holder, NUMBER)
            assert not await try_lock(other, NUMBER)
            assert await try_lock(other, OTHER)
            await getattr(holder, end)()
            assert await try_lock(other, NUMBER)


async def test_who_waits_goes_on_when_the_transaction_ends(sessions: SessionMaker) -> None:
    async with sessions() as holder, sessions() as other:
        await lock(holder, NUMBER)
        waiting = asyncio.create_task(lock(other, NUMBER))
        await until_a_lock_is_awaited(sessions)
        assert not waiting.done()
        await holder.commit()
        async with asyncio.timeout(deadline()):
            await waiting
        assert not await try_lock(holder, NUMBER)


async def test_names_exclude_each_other_within_their_room(sessions: SessionMaker) -> None:
    async with sessions() as holder, sessions() as other, sessions() as third:
        await lock_named(holder, 1, "hdfc")
        await lock_named(other, 1, "axis")
        await lock_named(other, 2, "hdfc")
        waiting = asyncio.create_task(lock_named(third, 1, "hdfc"))
        await until_a_lock_is_awaited(sessions)
        await holder.rollback()
        async with asyncio.timeout(deadline()):
            await waiting


async def test_who_dies_holds_nothing(sessions: SessionMaker, empty_database_url: str) -> None:
    dying = await asyncpg.connect(empty_database_url)
    await dying.execute("BEGIN")
    assert await dying.fetchval("SELECT try_lock_number($1)", NUMBER)
    async with sessions() as other:
        assert not await try_lock(other, NUMBER)
        dying.terminate()
        async with asyncio.timeout(deadline()):
            await lock(other, NUMBER)
