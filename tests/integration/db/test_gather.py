"""Questions of many callers, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import gather
from shared.db.engine import SessionMaker
from shared.db.gather import DatabaseBusy, Gather
from shared.ids import new_id

OWNER = new_id()


class Halves:
    """Asks Postgres for 100 / n, and keeps which questions went out together. The first statement waits for `go`."""

    def __init__(self) -> None:
        self.sent: list[list[int]] = []
        self.is_first_sent = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, connection: asyncpg.Connection, questions: Sequence[int]) -> list[int]:
        self.sent.append(list(questions))
        self.is_first_sent.set()
        await self.go.wait()
        sql = "SELECT 100 / n FROM unnest($1::int[]) WITH ORDINALITY AS asked (n, place) ORDER BY place"
        return [row[0] for row in await connection.fetch(sql, list(questions))]


async def _ask_behind_a_statement(
    engine: AsyncEngine, halves: Halves, questions: Sequence[int]
) -> tuple[asyncio.Task[int], list[asyncio.Task[int]]]:
    """One question in flight, and others that gather behind it."""
    desk = Gather(engine, halves)
    first = asyncio.create_task(desk.ask(1, OWNER))
    await halves.is_first_sent.wait()
    others = [asyncio.create_task(desk.ask(question, OWNER)) for question in questions]
    await asyncio.sleep(0)
    return first, others


async def test_questions_gather_behind_the_statement_in_flight(engine: AsyncEngine) -> None:
    halves = Halves()
    first, others = await _ask_behind_a_statement(engine, halves, [2, 4, 5])
    halves.go.set()
    assert await asyncio.gather(first, *others) == [100, 50, 25, 20]
    assert halves.sent == [[1], [2, 4, 5]]


async def test_a_question_never_joins_a_statement_that_was_sent(
    engine: AsyncEngine, sessionmaker: SessionMaker
) -> None:
    """What is committed before the question is asked is in the answer."""

    async def count(connection: asyncpg.Connection, questions: Sequence[None]) -> list[int]:
        found = await connection.fetchval("SELECT count(*) FROM seen_rows, pg_sleep(0.2)")
        return [found for _ in questions]

    async with sessionmaker.begin() as session:
        await session.execute(text("CREATE TABLE seen_rows (n int)"))
    desk = Gather(engine, count)
    before = asyncio.create_task(desk.ask(None, OWNER))
    await asyncio.sleep(0.1)  # the statement has its snapshot
    async with sessionmaker.begin() as session:
        await session.execute(text("INSERT INTO seen_rows VALUES (1)"))
    assert await desk.ask(None, OWNER) == 1
    assert await before in (0, 1)


async def test_a_bad_question_fails_alone(engine: AsyncEngine) -> None:
    halves = Halves()
    first, others = await _ask_behind_a_statement(engine, halves, [2, 0, 4])
    halves.go.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert isinstance(answers.pop(2), asyncpg.DivisionByZeroError)
    assert answers == [100, 50, 25]


async def test_a_cancelled_caller_withdraws_its_question_and_harms_no_other(engine: AsyncEngine) -> None:
    halves = Halves()
    first, others = await _ask_behind_a_statement(engine, halves, [2, 4])
    others[0].cancel()
    first.cancel()
    await asyncio.sleep(0)
    halves.go.set()
    assert await others[1] == 25
    assert halves.sent == [[1], [4]]


async def test_a_dead_connection_is_noticed_and_the_question_asked_again(
    engine: AsyncEngine, sessionmaker: SessionMaker
) -> None:
    """The server ends the connection between two statements, and in the middle of one."""
    kills = 1

    async def who(connection: asyncpg.Connection, questions: Sequence[None]) -> list[int]:
        nonlocal kills
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        if kills:
            kills -= 1
            async with sessionmaker() as session:
                await session.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            await connection.fetchval("SELECT 1")
        return [pid for _ in questions]

    desk = Gather(engine, who)
    async with sessionmaker() as session:
        await session.connection()  # one that the desk does not get
        pid = await desk.ask(None, OWNER)
        await session.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
    assert await desk.ask(None, OWNER) != pid


async def test_a_statement_prepared_before_a_migration_is_prepared_again(
    engine: AsyncEngine, sessionmaker: SessionMaker
) -> None:
    async def rows(connection: asyncpg.Connection, questions: Sequence[None]) -> list[int]:
        found = await connection.fetch("SELECT * FROM migrated_rows")
        return [len(found) for _ in questions]

    async with sessionmaker.begin() as session:
        await session.execute(text("CREATE TABLE migrated_rows (n int)"))
    desk = Gather(engine, rows)
    assert await desk.ask(None, OWNER) == 0
    async with sessionmaker.begin() as session:
        await session.execute(text("ALTER TABLE migrated_rows ADD COLUMN m int"))
    assert await desk.ask(None, OWNER) == 0


async def test_a_question_that_is_not_answered_in_time_is_given_up(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits is not sent any more; one in flight harms no later one."""
    halves = Halves()
    desk = Gather(engine, halves)
    with monkeypatch.context() as patched:
        patched.setattr(gather, "TIMEOUT_SECONDS", 0.05)
        answers = await asyncio.gather(desk.ask(1, OWNER), desk.ask(2, OWNER), return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError, TimeoutError]
    later = asyncio.create_task(desk.ask(4, OWNER))
    await asyncio.sleep(0)
    halves.go.set()
    assert await later == 25
    assert [2] not in halves.sent


async def test_a_full_queue_refuses_at_once(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MAX_WAITING", 2)
    halves = Halves()
    desk = Gather(engine, halves)
    first = asyncio.create_task(desk.ask(1, OWNER))
    await halves.is_first_sent.wait()
    others = [asyncio.create_task(desk.ask(question, OWNER)) for question in (2, 4)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy):
        await desk.ask(5, OWNER)
    halves.go.set()
    assert await asyncio.gather(first, *others) == [100, 50, 25]


async def test_one_owner_with_a_long_queue_holds_up_no_other(engine: AsyncEngine) -> None:
    """A thousand questions of one owner wait; that of a stranger, who comes last, is in the next statement."""
    halves = Halves()
    desk = Gather(engine, halves)
    first = asyncio.create_task(desk.ask(1, OWNER))
    await halves.is_first_sent.wait()
    many = [asyncio.create_task(desk.ask(2, OWNER)) for _ in range(1000)]
    stranger = asyncio.create_task(desk.ask(5, new_id()))
    await asyncio.sleep(0)
    halves.go.set()
    assert await stranger == 20
    assert 5 in halves.sent[1]
    assert await asyncio.gather(first, *many) == [100] + [50] * 1000


async def test_one_owner_leaves_room_in_the_queue(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MAX_WAITING_OF_OWNER", 2)
    halves = Halves()
    desk = Gather(engine, halves)
    first = asyncio.create_task(desk.ask(1, OWNER))
    await halves.is_first_sent.wait()
    others = [asyncio.create_task(desk.ask(question, OWNER)) for question in (2, 4)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusy):
        await desk.ask(5, OWNER)
    stranger = asyncio.create_task(desk.ask(10, new_id()))
    await asyncio.sleep(0)
    halves.go.set()
    assert await asyncio.gather(first, *others, stranger) == [100, 50, 25, 10]
