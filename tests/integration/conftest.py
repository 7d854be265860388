"""Both apps on the real Postgres and Redis, and who signed up there. Redis is emptied first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from tests.support.apps import RunningApp, Signed, merchant_app_settings, running, user_app_settings
from tests.support.networks import Wire, wire_to


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """Without banks: those are not there."""
    async with running(user_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def merchant_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """Shops."""
    async with running(merchant_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def asha(user_app: RunningApp) -> Signed:
    """Has ₹1,000."""
    return await user_app.person("Asha", balance=1000_00)


@pytest.fixture
async def ravi(user_app: RunningApp) -> Signed:
    """Has nothing."""
    return await user_app.person("Ravi")


@pytest.fixture
async def shop(merchant_app: RunningApp) -> Signed:
    """Has no payment yet."""
    return await merchant_app.shop("Chai Point")


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    """A wire to Postgres."""
    server = make_url(database_url)
    async with wire_to(server.host or "", server.port or 0) as wire:
        yield wire
