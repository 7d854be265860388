"""A lock by number excludes others until its transaction ends, whatever the engine makes it of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.locks import lock, lock_named, try_lock
from tests.support.deadlines import deadline
from tests.support.own_databases import migrated_database
from tests.support.waiting import until_a_lock_is_awaited

NUMBER, OTHER = 4_711, -(2**63)


@pytest.fixture(scope="module", params=["postgres", "distributed"])
def locking_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database whose schema was made for that engine. The tests of the module share it, and end what they hold."""
    with migrated_database(engine=request.param) as url:
        yield url


@pytest.fixture
async def sessions(locking_url: str) -> AsyncIterator[SessionMaker]:
    """Sessions on it."""
    engine = create_engine(DatabaseSettings(database_url=locking_url), application_name="tests")
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


async def test_who_dies_holds_nothing(sessions: SessionMaker, locking_url: str) -> None:
    dying = await asyncpg.connect(locking_url)
    await dying.execute("BEGIN")
    assert await dying.fetchval("SELECT try_lock_number($1)", NUMBER)
    async with sessions() as other:
        assert not await try_lock(other, NUMBER)
        dying.terminate()
        async with asyncio.timeout(deadline()):
            await lock(other, NUMBER)
