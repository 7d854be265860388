"""Simulated banks, and user_app with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from redis.asyncio import Redis

from shared.banks.table import BANKS
from tests.support.apps import RunningApp, Signed, running, user_app_settings
from tests.support.bank_settings import BANK_API_KEY
from tests.support.banks_alone import banks_alone
from tests.support.browsing import Browser


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the simulated banks answer; their notices go nowhere."""
    with banks_alone(tmp_path_factory.mktemp("bank")) as url:
        yield url


@pytest.fixture
async def banked_app(database_url: str, redis_url: str, redis: Redis, bank_url: str) -> AsyncIterator[RunningApp]:
    """With banks, which are well at the beginning of each test."""
    async with httpx.AsyncClient(trust_env=False, headers={"X-Api-Key": BANK_API_KEY}) as client:
        for code in BANKS:
            (await client.put(f"{bank_url}/{code}/api/faults", json={})).raise_for_status()
    async with running(user_app_settings(database_url, redis_url, bank_url)) as app:
        yield app


@pytest.fixture
async def meera(banked_app: RunningApp) -> Signed:
    """Has nothing, and an app with banks."""
    return await banked_app.person("Meera")


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Of Asha, as the module has her."""
    return Browser(asha)
