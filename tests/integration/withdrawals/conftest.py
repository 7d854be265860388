"""A real bank on a socket, shared by a module and healthy at each test's start, and an engine with short timings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import delete

from services.dummy_bank.settings import BankSimulatorSettings
from shared.banks.client import BankClient
from shared.config import WithdrawalTimings
from shared.db.engine import SessionMaker
from shared.models import BankCircuit
from tests.support.bank_settings import endpoints, simulator_values
from tests.support.simulated_bank import KEYS, WEBHOOK_SECRET, Running, bank_client, run_app
from tests.support.withdrawal_world import PATIENT, World, engine_on


@pytest.fixture(scope="module")
def running_bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = run_app(
        BankSimulatorSettings(
            database=tmp_path_factory.mktemp("bank") / "bank.sqlite",
            public_url="http://bank.test",
            # Nothing listens there: the tests send the notices themselves.
            **simulator_values(dict.fromkeys(KEYS, WEBHOOK_SECRET), keys=KEYS),
        )
    )
    yield running
    running.stop()


@pytest.fixture
def timings() -> WithdrawalTimings:
    """Those of the engine; a test in which calls time out is marked `hasty`."""
    return PATIENT


@pytest.fixture
async def world(running_bank: Running, sessionmaker: SessionMaker, timings: WithdrawalTimings) -> AsyncIterator[World]:
    clients = {
        code: BankClient(endpoint, timings.bank_timeout_seconds)
        for code, endpoint in endpoints(running_bank.url, KEYS).items()
    }
    consoles = {code: bank_client(running_bank.url, code) for code in KEYS}
    for console in consoles.values():
        console.faults()
    async with sessionmaker.begin() as session:
        await session.execute(delete(BankCircuit))
    yield World(sessionmaker, engine_on(sessionmaker, clients, timings), consoles)
    for client in clients.values():
        await client.aclose()
    for console in consoles.values():
        console.http.close()
        console.browser.close()


@pytest.fixture
def world_alone(world: World, fresh_sessionmaker: SessionMaker) -> World:
    """The same on a database of its own, for tests that look at all rows or change the schema."""
    engine = engine_on(fresh_sessionmaker, world.engine.clients, world.engine.timings)
    return replace(world, sessionmaker=fresh_sessionmaker, engine=engine, owners=set())
