"""merchant_app on the real Postgres and Redis, and people who pay there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.testing.apps import RunningApp, Signed, merchant_app_settings, running, user_app_settings


@pytest.fixture
async def merchant_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    async with running(merchant_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def user_app(database_url: str, redis_url: str) -> AsyncIterator[RunningApp]:
    async with running(user_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def asha(user_app: RunningApp) -> Signed:
    """Has ₹1,000."""
    return await user_app.person("Asha", balance=1000_00)


@pytest.fixture
async def shop(merchant_app: RunningApp) -> Signed:
    return await merchant_app.shop("Chai Point")
