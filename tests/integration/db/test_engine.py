from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.outages import is_outage
from tests.support.networks import Wire

PID = text("SELECT pg_backend_pid()")


async def test_an_error_never_tells_the_values_of_its_statement(sessionmaker: SessionMaker) -> None:
    """Errors are logged, and values are account numbers, addresses and hashes."""
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(
                text("SELECT CAST(:account_number AS text) FROM nowhere"), {"account_number": "998877"}
            )
    assert "nowhere" in str(caught.value)
    assert "998877" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "is_passing"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END $$", True),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$", True),
        ("SELECT 1 / 0", False),
        ("SELECT * FROM nowhere", False),
    ],
)
async def test_what_passes_is_told_from_a_mistake(sessionmaker: SessionMaker, statement: str, is_passing: bool) -> None:
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(text(statement))
    assert is_outage(caught.value) is is_passing


async def test_the_connection_that_worked_last_works_next(database_url: str) -> None:
    """Its server process has the plans at hand; after a busy moment there are others that have none."""
    settings = DatabaseSettings(database_url=SecretStr(database_url))
    engine = create_engine(settings, application_name="tests", pool_size=4)
    async with engine.connect() as first, engine.connect() as second, engine.connect():
        pids = [(await each.execute(PID)).scalar_one() for each in (first, second)]
    assert len(set(pids)) == 2
    found = set()
    for _ in range(4):
        async with engine.connect() as connection:
            found.add((await connection.execute(PID)).scalar_one())
    await engine.dispose()
    assert len(found) == 1


async def test_a_value_that_does_not_fit_is_a_mistake(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(text("SELECT CAST(:number AS int)"), {"number": "many"})
    assert not is_outage(caught.value)


async def test_a_statement_prepared_before_a_migration_may_be_tried_again(fresh_sessionmaker: SessionMaker) -> None:
    async def read() -> None:
        async with fresh_sessionmaker() as session:
            await session.execute(text("SELECT * FROM outbox_messages"))

    await read()
    async with fresh_sessionmaker.begin() as migration:
        await migration.execute(text("ALTER TABLE outbox_messages ADD COLUMN newer int"))
    with pytest.raises(DBAPIError) as caught:
        await read()
    assert is_outage(caught.value)
    await read()


async def test_a_connection_whose_server_rejects_writes_does_not_return_to_the_pool(database_url: str) -> None:
    """Unless the session itself only reads: a write there is our mistake."""
    settings = DatabaseSettings(database_url=SecretStr(database_url))
    engine = create_engine(settings, application_name="tests", pool_size=1)
    sessions = create_sessionmaker(engine)
    readers = create_sessionmaker(engine.execution_options(postgresql_readonly=True))
    try:
        async with sessions.begin() as session:
            first = await session.scalar(PID)
        for sessionmaker, is_passing in ((readers, False), (sessions, True)):
            if is_passing:
                async with sessions.begin() as session:
                    await session.execute(text("SET SESSION default_transaction_read_only = on"))
            async with sessionmaker() as session:
                assert await session.scalar(PID) == first
                with pytest.raises(DBAPIError) as caught:
                    await session.execute(text("CREATE TABLE rejected (n int)"))
            assert is_outage(caught.value) is is_passing
        async with sessions.begin() as session:
            assert await session.scalar(PID) != first
    finally:
        await engine.dispose()


async def failure_of(url: str) -> Exception | None:
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url)), application_name="tests")
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        return error
    finally:
        await engine.dispose()
    return None


async def test_wherever_a_connection_breaks_it_may_be_tried_again(database_url: str, wire: Wire) -> None:
    pieces = wire.answers_left = 1
    while error := await failure_of(wire.through(database_url)):
        assert is_outage(error), f"after {pieces} pieces of answers"
        pieces = wire.answers_left = pieces + 1
    assert pieces > 5, "it broke early, and late"
