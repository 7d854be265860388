"""A request never learns that the server hung up: the connection is replaced and the question asked again, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from shared.db.engine import SessionMaker
from shared.db.gather import Gather
from shared.ids import new_token
from shared.runtime.resources import Resources
from tests.support.apps import PIN, RunningApp, Signed, problem, running, user_app_settings

KILL_ALL = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE application_name = 'user_app' AND datname = current_database()
"""


async def kill_all(sessionmaker: SessionMaker) -> int:
    """End every connection of user_app. Answers how many there were."""
    async with sessionmaker() as session:
        return len((await session.execute(text(KILL_ALL))).all())


async def pin_token_of(person: Signed) -> str:
    return str((await person.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"])


async def test_connections_that_died_between_two_requests_are_replaced(
    asha: Signed, ravi: Signed, sessionmaker: SessionMaker
) -> None:
    headers = {"X-Pin-Token": await pin_token_of(asha)}
    assert await kill_all(sessionmaker)
    assert (await asha.wallet())["balance"] == 1000_00
    assert await kill_all(sessionmaker)
    sent = await asha.post("/transfers", headers=headers, to=ravi.wallet_id, amount=100)
    assert sent.status_code == 201, sent.text
    assert (await ravi.wallet())["balance"] == 100


@pytest.mark.parametrize("kills", [1, 2])
async def test_a_connection_that_dies_during_a_question_is_replaced_once(
    user_app: RunningApp, ravi: Signed, sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    """Twice in a row is an outage: 503, nothing moved, and the same request succeeds when it is sent again."""
    asha = await user_app.person("Asha", balance=1000_00)
    resources: Resources = user_app.app.state.resources
    headers, key = {"X-Pin-Token": await pin_token_of(asha)}, new_token()

    async def send() -> Any:
        return await asha.post("/transfers", key=key, headers=headers, to=ravi.wallet_id, amount=100)

    for desk, ask in ((resources.sessions._gather, lambda: asha.get("/wallet")), (resources.senders._gather, send)):
        _kill_while_asking(monkeypatch, desk, sessionmaker, kills)
        answer = await ask()
        if kills > 1:
            problem(answer, 503, "unavailable")
            assert "retry-after" in answer.headers
            answer = await ask()
        assert answer.is_success, answer.text
    assert (await ravi.wallet())["balance"] == 100


def _kill_while_asking(
    monkeypatch: pytest.MonkeyPatch, desk: Gather[Any, Any], sessionmaker: SessionMaker, kills: int
) -> None:
    ask_all = desk._ask_all
    left = kills

    async def asking(connection: asyncpg.Connection, questions: Sequence[Any]) -> Sequence[Any]:
        nonlocal left
        if left:
            left -= 1
            killing = asyncio.create_task(kill_all(sessionmaker))
            try:
                await connection.fetch("SELECT pg_sleep(600)")
            finally:
                await killing  # it has a connection of its own, which must not outlive the test
        return await ask_all(connection, questions)

    monkeypatch.setattr(desk, "_ask_all", asking)


@pytest.fixture
async def small_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """Has two connections for sessions, and waits for one as long as a test may take."""
    settings = user_app_settings(database_url, redis_url, database_pool_size=2, database_pool_timeout_seconds=600)
    async with running(settings) as app:
        yield app


async def test_requests_that_hold_every_connection_delay_no_gathered_question(small_app: RunningApp) -> None:
    asha = await small_app.person("Asha")
    async with AsyncExitStack() as held:
        for _ in range(2):
            session = await held.enter_async_context(small_app.sessionmaker())
            await session.execute(text("SELECT 1"))
        assert (await asha.wallet())["balance"] == 0
