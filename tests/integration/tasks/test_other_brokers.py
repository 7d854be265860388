"""Sentinel and RabbitMQ carry tasks to a real worker, also after the server that held the messages was killed.

Meanwhile withdrawals go out: the worker looks for them by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from bench.payouts import create_people, fill_queue
from services.dummy_bank.settings import BankSimulatorSettings
from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import RevokedToken, Withdrawal
from shared.redis.client import REDIS_ERRORS, open_redis
from shared.redis.settings import RedisSettings
from shared.tasks import hints as hints_module
from shared.tasks.application import create_celery
from shared.tasks.hints import Hints
from shared.tasks.names import PURGE_TOKENS
from tests.support.bank_settings import SAME_KEY, simulator_values
from tests.support.brokers import PATIENCE_SECONDS, Broker, RabbitMQ, RedisBehindSentinel
from tests.support.celery_processes import WORKER, worker_environment
from tests.support.deadlines import deadline
from tests.support.programs import Programs, programs
from tests.support.simulated_bank import WEBHOOK_SECRET, run_app
from tests.support.waiting import eventually_async

# One stack of servers at a time.
pytestmark = [pytest.mark.xdist_group("brokers"), pytest.mark.timeout(240)]

KINDS: dict[str, Callable[[Programs, Path], Broker]] = {"sentinel": RedisBehindSentinel, "rabbitmq": RabbitMQ}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Programs]:
    with programs(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = BankSimulatorSettings(
        database=tmp_path_factory.mktemp("bank") / "bank.sqlite",
        public_url="http://bank.test",
        **simulator_values(dict.fromkeys(SAME_KEY, WEBHOOK_SECRET)),
    )
    running = run_app(settings)
    yield running.url
    running.stop()


@dataclass
class Sender:
    """Sends as the apps and the scheduler do, by connections that it keeps."""

    url: str
    sessionmaker: SessionMaker

    def __post_init__(self) -> None:
        self.celery = create_celery(self.url, "test", socket_timeout_seconds=deadline(5))
        self.hints = Hints(self.url, timeout_seconds=deadline(5))

    async def hint(self) -> bool:
        """Send a hint; whether the broker took it."""
        return await asyncio.to_thread(self.hints.send, new_id())

    async def task_is_done(self) -> None:
        """Send a task until the broker takes it, and wait until the worker has done it."""
        async with self.sessionmaker.begin() as session:
            session.add(RevokedToken(id=new_id(), expires_at=clock.now() - timedelta(days=1)))

        async def is_taken() -> bool:
            try:
                await asyncio.to_thread(self.celery.send_task, PURGE_TOKENS)
            except Exception:  # whatever the driver raises
                return False
            return True

        async def is_done() -> bool:
            async with self.sessionmaker() as session:
                return not await session.scalar(select(func.count()).select_from(RevokedToken))

        await eventually_async(is_taken, "the broker takes a task", seconds=60)
        await eventually_async(is_done, "the worker does it", seconds=60)

    async def payouts_go_out(self) -> None:
        """Queue withdrawals without a hint, and wait until they are paid."""
        people = await create_people(self.sessionmaker, 3, balance=10_00)
        references = await fill_queue(self.sessionmaker, people, 3)

        async def are_paid() -> bool:
            async with self.sessionmaker() as session:
                found = select(Withdrawal.status).where(Withdrawal.id.in_(map(UUID, references)))
                return set(await session.scalars(found)) == {"succeeded"}

        await eventually_async(are_paid, "the payouts go out", seconds=60)

    def close(self) -> None:
        self.hints.close()
        self.celery.close()


@pytest.fixture
async def broker(request: pytest.FixtureRequest, started: Programs, tmp_path: Path) -> Broker:
    return await asyncio.to_thread(KINDS[request.param], started, tmp_path)


@pytest.fixture
def environment(broker: Broker, fresh_database_url: str, redis_url: str, bank_url: str) -> Mapping[str, str]:
    """The worker's."""
    return worker_environment(fresh_database_url, redis_url, bank_url, broker_url=SecretStr(broker.url))


@pytest.fixture
async def sender(
    broker: Broker,
    started: Programs,
    environment: Mapping[str, str],
    fresh_sessionmaker: SessionMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Sender]:
    """With a worker at the other end of the broker."""
    monkeypatch.setattr(hints_module, "COOL_DOWN_SECONDS", 0.1)
    started.start("worker", WORKER, environment)
    sender = Sender(broker.url, fresh_sessionmaker)
    yield sender
    sender.close()


@pytest.mark.parametrize("broker", KINDS, indirect=True)
async def test_tasks_reach_the_worker_before_and_after_the_broker_was_killed(
    broker: Broker, sender: Sender, started: Programs
) -> None:
    assert await sender.hint()
    await sender.task_is_done()
    await sender.payouts_go_out()

    await asyncio.to_thread(broker.fail)
    await sender.payouts_go_out()
    await asyncio.to_thread(broker.recover)
    await eventually_async(sender.hint, "hints are taken again", seconds=60)
    await sender.task_is_done()
    assert "Unrecoverable" not in started.log("worker")


async def test_wake_ups_and_counts_follow_the_master(started: Programs, tmp_path: Path) -> None:
    """`BATUA_REDIS_URL` may be behind Sentinel, too."""
    behind = await asyncio.to_thread(RedisBehindSentinel, started, tmp_path)
    settings = RedisSettings(redis_url=SecretStr(behind.url), redis_timeout_seconds=deadline(2))
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(settings))
        assert await redis.set("count", 1)
        listening = redis.pubsub(ignore_subscribe_messages=True)
        await listening.subscribe("wallet")
        await redis.publish("wallet", b"woken")
        await eventually_async(lambda: listening.get_message(timeout=1), "a wake-up")
        await listening.aclose()  # type: ignore[no-untyped-call]

        await asyncio.to_thread(behind.wait_before_failover, 3600.0)
        await asyncio.to_thread(behind.fail)
        with pytest.raises(REDIS_ERRORS):
            await redis.set("count", 2)
        await asyncio.to_thread(behind.wait_before_failover, PATIENCE_SECONDS)
        await asyncio.to_thread(behind.recover)

        async def is_written() -> bool:
            try:
                return bool(await redis.set("count", 3))
            except REDIS_ERRORS:
                return False

        await eventually_async(is_written, "the new master takes writes", seconds=60)
        assert await redis.get("count") == b"3"
