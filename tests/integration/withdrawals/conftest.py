"""A real bank on a socket, a database of the test's own, and an engine with short timings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.dummy_bank.settings import BankSimulatorSettings
from shared.bank.client import BankClient
from shared.config import Bank
from shared.db.engine import SessionMaker
from shared.withdrawals.engine import Engine
from tests.integration.dummy_bank.scene import KEYS, WEBHOOK_SECRET, Running, bank_client, run_app
from tests.integration.withdrawals.world import FAST, World


@pytest.fixture
def running_bank(tmp_path: Path) -> Iterator[Running]:
    running = run_app(
        BankSimulatorSettings(
            database=tmp_path / "bank.sqlite",
            public_url="http://bank.test",
            hdfc_api_key=SecretStr(KEYS["hdfc"]),
            hdfc_webhook_secret=SecretStr(WEBHOOK_SECRET),
            # Nobody listens there: what the banks tell by themselves is told by the tests.
            hdfc_webhook_url="http://127.0.0.1:1/webhooks/hdfc",
            axis_api_key=SecretStr(KEYS["axis"]),
            axis_webhook_secret=SecretStr(WEBHOOK_SECRET),
            axis_webhook_url="http://127.0.0.1:1/webhooks/axis",
        )
    )
    yield running
    running.stop()


@pytest.fixture
async def world(running_bank: Running, fresh_sessionmaker: SessionMaker) -> AsyncIterator[World]:
    clients = {
        code: BankClient(
            Bank(code=code, name=code, url=f"{running_bank.url}/{code}", api_key=SecretStr(key)),
            FAST.bank_timeout_seconds,
        )
        for code, key in KEYS.items()
    }
    consoles = {code: bank_client(running_bank.url, code) for code in KEYS}
    yield World(fresh_sessionmaker, Engine(fresh_sessionmaker, clients, FAST), consoles)
    for client in clients.values():
        await client.aclose()
    for console in consoles.values():
        console.http.close()
        console.browser.close()
