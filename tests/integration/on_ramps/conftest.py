"""A simulated bank over HTTP whose notices do not arrive: all that we know of it comes from enquiries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from shared.banks.client import BankClient, clients_for
from shared.config import OnRampSettings, OnRampTimings
from tests.support.bank_settings import BANK_API_KEY, endpoints
from tests.support.banks_alone import banks_alone
from tests.support.deadlines import deadline


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the simulator answers."""
    with banks_alone(tmp_path_factory.mktemp("bank")) as url:
        yield url


@pytest.fixture
async def clients(bank_url: str) -> AsyncIterator[dict[str, BankClient]]:
    """Our clients of every bank, which are well at the beginning of each test."""
    found = clients_for(endpoints(bank_url), timeout_seconds=deadline())
    yield found
    for code, client in found.items():
        await put_faults(bank_url, code, {})
        await client.aclose()


@pytest.fixture
def settings() -> OnRampSettings:
    """The usual timings, except that a bank has to answer sooner."""
    timings = OnRampTimings(bank_timeout_seconds=deadline(1))
    return OnRampSettings(on_ramps=timings, user_app_url="https://batua.example/")


async def put_faults(bank_url: str, bank: str, faults: dict[str, object]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.put(f"{bank_url}/{bank}/api/faults", json=faults, headers={"X-Api-Key": BANK_API_KEY})
        answer.raise_for_status()


@pytest.fixture
def misbehave(bank_url: str) -> object:
    """Chooses a bank's faults."""

    async def choose(bank: str, **faults: object) -> None:
        await put_faults(bank_url, bank, faults)

    return choose


@pytest.fixture
def visit(bank_url: str) -> object:
    """The person's part: approve or decline at the bank's page."""

    async def decide(redirect_url: str, decision: str) -> httpx.Response:
        form = {"customer_id": "demo", "password": "demo", "decision": decision}
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.post(redirect_url, data=form)
        assert answer.status_code == 303, answer.text
        return answer

    return decide
