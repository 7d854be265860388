"""Statements that only read: what they see, and how they get over a migration and a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine
from shared.db.reads import Reads, fetch
from shared.ids import new_token
from shared.models import Owner
from tests.support.factories import create_user
from tests.support.networks import Wire
from tests.support.waiting import eventually_async

KILL = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE application_name = 'tests-of-reads' AND datname = current_database() AND state = $1
"""
LOCK = 7_001_002


@pytest.fixture
async def reads(database_url: str) -> AsyncIterator[Reads]:
    engine = create_engine(
        DatabaseSettings(database_url=SecretStr(database_url)), application_name="tests-of-reads", pool_size=1
    )
    yield Reads(engine)
    await engine.dispose()


async def test_a_migration_between_two_reads_goes_unnoticed(reads: Reads, sessionmaker: SessionMaker) -> None:
    table = f"reads_{new_token(6).lower().replace('-', '_')}"
    try:
        async with sessionmaker.begin() as session:
            await session.execute(text(f"CREATE TABLE {table} AS SELECT 1 AS number"))
        query = f"SELECT * FROM {table}"
        assert [tuple(row) for row in await reads.fetch(query)] == [(1,)]
        async with sessionmaker.begin() as session:
            await session.execute(text(f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 2"))
        assert [tuple(row) for row in await reads.fetch(query)] == [(1, 2)]
    finally:
        async with sessionmaker.begin() as session:
            await session.execute(text(f"DROP TABLE IF EXISTS {table}"))


async def test_a_connection_that_dies_before_or_during_a_read_is_replaced(
    reads: Reads, sessionmaker: SessionMaker
) -> None:
    assert [tuple(row) for row in await reads.fetch("SELECT 1")] == [(1,)]
    async with sessionmaker() as session:
        assert await fetch(session, KILL, "idle")
    async with sessionmaker.begin() as holder:
        await holder.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        reading = asyncio.create_task(reads.fetch(f"SELECT 1 FROM pg_advisory_xact_lock({LOCK})"))

        async def is_killed() -> bool:
            async with sessionmaker() as session:
                return bool(await fetch(session, KILL, "active"))

        await eventually_async(is_killed)
    assert [tuple(row) for row in await reading] == [(1,)]


async def test_a_connection_whose_end_is_not_known_yet_is_replaced(
    database_url: str, wire: Wire, sessionmaker: SessionMaker
) -> None:
    """The driver has read the server's last words, and refuses the next statement in words of its own."""
    engine = create_engine(
        DatabaseSettings(database_url=SecretStr(wire.through(database_url))),
        application_name="tests-of-reads",
        pool_size=1,
    )
    try:
        reads = Reads(engine)
        await reads.fetch("SELECT 1")
        wire.hides_ends = True
        async with sessionmaker() as session:
            assert await fetch(session, KILL, "idle")
        await asyncio.sleep(0.2)  # the words arrive
        assert [tuple(row) for row in await reads.fetch("SELECT 1")] == [(1,)]
    finally:
        wire.hides_ends = False
        await engine.dispose()


async def test_a_read_in_a_session_sees_what_the_session_has_changed(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        account = await create_user(session)
        owner = await session.get_one(Owner, account.owner_id)
        owner.email = f"{new_token(8).lower()}@example.test"
        ((email,),) = await fetch(session, "SELECT email FROM owners WHERE id = $1", owner.id)
        assert email == owner.email
        await session.rollback()
