"""Two schedulers at once send each regular task once per period, and one takes over when the other is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, update

from services.withdraw_worker import sendings
from services.withdraw_worker.schedule import OUTBOX_SECONDS, SHORTEST_EXPIRY_SECONDS
from shared import clock
from shared.db.engine import SessionMaker
from shared.models import Lease, ScheduledTask
from shared.tasks.names import DELIVER_OUTBOX, QUEUE
from tests.support.bank_settings import NOWHERE
from tests.support.celery_processes import scheduler_command, worker_environment
from tests.support.deadlines import deadline
from tests.support.programs import Programs, programs
from tests.support.waiting import eventually_async

HOUR = timedelta(hours=1)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Programs]:
    with programs(tmp_path) as started:
        yield started


@pytest.fixture
async def two(
    started: Programs, fresh_database_url: str, redis_url: str, redis: Redis, tmp_path: Path
) -> AsyncIterator[list[int]]:
    """The pids of two schedulers of one database and one broker, at which no worker takes what they send."""
    lease_seconds = max(1.0, deadline(1))
    environment = worker_environment(fresh_database_url, redis_url, NOWHERE, scheduler_lease_seconds=lease_seconds)
    yield [
        started.start(f"scheduler-{number}", scheduler_command(tmp_path / f"heartbeat-{number}"), environment).pid
        for number in (1, 2)
    ]
    await redis.flushdb()


@pytest.fixture
def patient(fresh_database_url: str, redis_url: str) -> Mapping[str, str]:
    """The environment of a scheduler whose lease lasts."""
    return worker_environment(fresh_database_url, redis_url, NOWHERE, scheduler_lease_seconds=3600)


async def sent_at(redis: Redis, task: str, period_seconds: float) -> list[datetime]:
    """From when each message of this task counts, oldest first: it expires a period later."""
    messages: list[Any] = [json.loads(each) for each in await redis.lrange(QUEUE, 0, -1)]
    expiries = [each["headers"]["expires"] for each in messages if each["headers"]["task"] == task]
    lasts = timedelta(seconds=max(period_seconds, SHORTEST_EXPIRY_SECONDS))
    return sorted(datetime.fromisoformat(each).astimezone(UTC) - lasts for each in expiries)


async def until_sent(redis: Redis, count: int) -> list[datetime]:
    """When the task of mail was sent, once it was sent so often."""

    async def ask() -> list[datetime] | None:
        found = await sent_at(redis, DELIVER_OUTBOX, OUTBOX_SECONDS)
        return found if len(found) >= count else None

    found = await eventually_async(ask, f"mail is sent for {count} times", seconds=60)
    assert found is not None
    return found


def assert_once_per_period(moments: list[datetime]) -> None:
    """A sending is due a period after the one before it; Celery rounds to a hundredth of a second."""
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    assert all(gap >= OUTBOX_SECONDS - 0.05 for gap in gaps), gaps


async def holder(sessionmaker: SessionMaker) -> int | None:
    """The pid of the scheduler that sends."""
    async with sessionmaker() as session:
        found = await session.scalar(select(Lease.holder))
    return int(found.split(":")[1]) if found else None


async def test_each_task_is_sent_once_per_period_and_the_other_takes_over(
    two: list[int], redis: Redis, fresh_sessionmaker: SessionMaker, tmp_path: Path
) -> None:
    assert_once_per_period(await until_sent(redis, 3))
    both = [tmp_path / "heartbeat-1", tmp_path / "heartbeat-2"]
    await eventually_async(lambda: asyncio.to_thread(lambda: all(each.exists() for each in both)), "both are alive")
    first = await holder(fresh_sessionmaker)
    assert first in two
    os.kill(first, signal.SIGKILL)
    before = len(await sent_at(redis, DELIVER_OUTBOX, OUTBOX_SECONDS))

    moments = await until_sent(redis, before + 2)
    (second,) = set(two) - {first}
    assert await holder(fresh_sessionmaker) == second
    assert_once_per_period(moments)
    # Tasks that are due once an hour or a day were sent by neither.
    names = {json.loads(each)["headers"]["task"] for each in await redis.lrange(QUEUE, 0, -1)}
    assert not {name for name in names if "purge" in name or "seal" in name or "reconcile" in name}


async def test_a_scheduler_that_is_told_to_stop_gives_its_lease_back(
    started: Programs, patient: Mapping[str, str], redis: Redis, fresh_sessionmaker: SessionMaker, tmp_path: Path
) -> None:
    process = started.start("scheduler", scheduler_command(tmp_path / "heartbeat"), patient)

    async def is_held() -> bool:
        return await holder(fresh_sessionmaker) == process.pid

    await eventually_async(is_held, "it sends", seconds=60)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, deadline(60)) == 0
    assert await sendings.take_lease(fresh_sessionmaker, "another", 3600)
    await redis.flushdb()


class Sent(list[str]):
    """What was sent."""

    def __call__(self) -> None:
        self.append("sent")


async def test_a_paused_holder_sends_nothing_once_another_has_the_lease(fresh_sessionmaker: SessionMaker) -> None:
    assert await sendings.take_lease(fresh_sessionmaker, "first", 3600)
    assert not await sendings.take_lease(fresh_sessionmaker, "second", 3600)
    last = (await sendings.counted_from(fresh_sessionmaker, ["mail"], clock.now() - HOUR))["mail"]
    async with fresh_sessionmaker.begin() as session:  # the first was paused for longer than its lease
        await session.execute(update(Lease).values(expires_at=clock.now() - HOUR))
    sent = Sent()
    assert not await sendings.send_once(fresh_sessionmaker, "first", "mail", sent, last=last, now=clock.now())
    assert await sendings.take_lease(fresh_sessionmaker, "second", 3600)
    assert await sendings.send_once(fresh_sessionmaker, "second", "mail", sent, last=last, now=clock.now())
    assert not await sendings.send_once(fresh_sessionmaker, "first", "mail", sent, last=last, now=clock.now())
    # Nor does the holder itself send again what it knows to be older.
    assert not await sendings.send_once(fresh_sessionmaker, "second", "mail", sent, last=last, now=clock.now())
    assert sent == ["sent"]


async def test_what_the_broker_did_not_take_is_still_due(fresh_sessionmaker: SessionMaker) -> None:
    def refuse() -> None:
        raise ConnectionError("the broker is away")

    began = clock.now() - HOUR
    assert await sendings.take_lease(fresh_sessionmaker, "first", 3600)
    last = (await sendings.counted_from(fresh_sessionmaker, ["seal"], began))["seal"]
    with pytest.raises(ConnectionError):
        await sendings.send_once(fresh_sessionmaker, "first", "seal", refuse, last=last, now=clock.now())
    assert await sendings.counted_from(fresh_sessionmaker, ["seal"], clock.now()) == {"seal": began}


async def test_a_new_task_is_counted_from_when_it_was_first_known(fresh_sessionmaker: SessionMaker) -> None:
    began = clock.now()
    assert await sendings.counted_from(fresh_sessionmaker, ["seal"], began) == {"seal": began}
    later = await sendings.counted_from(fresh_sessionmaker, ["seal", "new"], began + HOUR)
    assert later == {"seal": began, "new": began + HOUR}
    async with fresh_sessionmaker() as session:
        assert len(list(await session.scalars(select(ScheduledTask)))) == 2
