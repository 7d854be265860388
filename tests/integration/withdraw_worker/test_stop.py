"""A worker that is told to stop waits for no task longer than for a call to a bank, and hands it to another worker."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select

from shared import clock
from shared.config import OnRampTimings, WithdrawalTimings
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import RevokedToken
from shared.tasks.application import create_celery
from shared.tasks.names import PURGE_TOKENS, QUEUE
from tests.support.bank_settings import NOWHERE
from tests.support.celery_processes import WORKER, worker_environment
from tests.support.deadlines import deadline
from tests.support.programs import Programs, programs
from tests.support.waiting import eventually_async, until_a_lock_is_awaited

BANK_SECONDS = 0.01
"""So that the time of a call to a bank is over before anything else has ended."""
HOURS = 2 * 3600.0
"""What the task may wait for a lock: much longer than the test waits for the worker."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Programs]:
    with programs(tmp_path) as started:
        yield started


@pytest.fixture
def environment(fresh_database_url: str, redis_url: str) -> Mapping[str, str]:
    """Of a worker whose calls to a bank take a moment, and whose statements wait for hours."""
    return worker_environment(
        fresh_database_url,
        redis_url,
        NOWHERE,
        withdrawals=WithdrawalTimings(bank_timeout_seconds=BANK_SECONDS),
        on_ramps=OnRampTimings(bank_timeout_seconds=BANK_SECONDS),
        database_lock_timeout_seconds=HOURS,
        database_statement_timeout_seconds=HOURS,
    )


@asynccontextmanager
async def locked_token(sessionmaker: SessionMaker) -> AsyncIterator[None]:
    """An expired token that a task is to delete, and cannot."""
    token = RevokedToken(id=new_id(), expires_at=clock.now() - timedelta(days=1))
    async with sessionmaker.begin() as session:
        session.add(token)
    async with sessionmaker.begin() as session:
        await session.get_one(RevokedToken, token.id, with_for_update=True)
        yield


async def test_a_task_that_hangs_is_given_up_and_done_by_the_next_worker(
    started: Programs, environment: Mapping[str, str], redis: Redis, redis_url: str, fresh_sessionmaker: SessionMaker
) -> None:
    async with locked_token(fresh_sessionmaker):
        worker = started.start("worker", WORKER, environment)
        with closing(create_celery(redis_url, "test", socket_timeout_seconds=deadline(5))) as celery:
            await asyncio.to_thread(celery.send_task, PURGE_TOKENS)
        await until_a_lock_is_awaited(fresh_sessionmaker)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, deadline(60)) == 0, started.log("worker")
        assert "Error on stopping" not in started.log("worker"), "it waits for the dispatcher's last calls, too"
        waiting = [json.loads(each)["headers"]["task"] for each in await redis.lrange(QUEUE, 0, -1)]
        assert waiting == [PURGE_TOKENS]
    started.start("next", WORKER, environment)

    async def is_deleted() -> bool:
        async with fresh_sessionmaker() as session:
            return not await session.scalar(select(func.count()).select_from(RevokedToken))

    await eventually_async(is_deleted, "the next worker does it", seconds=60)
