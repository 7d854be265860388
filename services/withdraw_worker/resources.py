"""What the worker uses. All of it lives on the runner's loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from services.withdraw_worker.measuring import Measuring, measuring
from services.withdraw_worker.settings import WorkerSettings
from shared.addresses import read_servers
from shared.banks.client import BankClient, clients_for
from shared.banks.number_keys import NumberKeys
from shared.db.engine import SessionMaker
from shared.redis.client import open_redis
from shared.runtime.database import open_database
from shared.runtime.tracing import open_tracing
from shared.wakeups.announcer import open_announcer
from shared.wakeups.commits import announce_commits
from shared.withdrawals.dispatcher import Dispatcher
from shared.withdrawals.engine import Engine
from shared.withdrawals.freezes import Freezes


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """Built once in each process, after it has started."""

    settings: WorkerSettings
    sessionmaker: SessionMaker
    dispatcher: Dispatcher
    on_ramp_clients: Mapping[str, BankClient]


@asynccontextmanager
async def open_resources(settings: WorkerSettings) -> AsyncIterator[WorkerResources]:
    """Open the database, Redis, and one client for each bank and kind of call; closed at the end."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_tracing(settings, "withdraw_worker"))
        database = await stack.enter_async_context(open_database(settings, application_name="withdraw_worker"))
        redis = await stack.enter_async_context(open_redis(settings, max_connections=1))
        if settings.metrics_port is not None:  # otherwise no one can read what they would find
            await stack.enter_async_context(_measuring(settings, database.read_sessionmaker))
        announcer = await stack.enter_async_context(open_announcer(redis))
        announce_commits(database.sessionmaker, announcer.tell)
        timings = settings.withdrawals
        payout_clients = _clients(stack, settings, timings.bank_timeout_seconds, timings.slots_per_bank)
        number_keys = NumberKeys(settings.account_number_keys)
        freezes = Freezes(database.direct_engine)
        yield WorkerResources(
            settings=settings,
            sessionmaker=database.sessionmaker,
            dispatcher=Dispatcher(Engine(database.sessionmaker, freezes, payout_clients, timings, number_keys)),
            on_ramp_clients=_clients(stack, settings, settings.on_ramps.bank_timeout_seconds),
        )


@asynccontextmanager
async def _measuring(settings: WorkerSettings, sessionmaker: SessionMaker) -> AsyncIterator[None]:
    """Keep looking for the metrics, over a connection of its own to each Redis. A RabbitMQ has metrics itself."""
    async with AsyncExitStack() as stack:
        urls = {"cache": settings.redis_url.get_secret_value(), "broker": settings.broker_address}
        stores = {
            name: await stack.enter_async_context(open_redis(settings, url=url, max_connections=1))
            for name, url in urls.items()
            if not read_servers(url).is_amqp
        }
        looks = measuring(
            Measuring(sessionmaker, stores),
            pace_seconds=settings.measure_seconds,
            balances_seconds=settings.measure_balances_seconds,
        )
        await stack.enter_async_context(looks)
        yield


def _clients(
    stack: AsyncExitStack, settings: WorkerSettings, timeout_seconds: float, max_connections: int | None = None
) -> dict[str, BankClient]:
    clients = clients_for(settings.banks, timeout_seconds, max_connections)
    for client in clients.values():
        stack.push_async_callback(client.aclose)
    return clients
