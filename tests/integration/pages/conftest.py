"""Both apps as a browser sees them: no token, only the cookie, and answers not followed unless asked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.testing.apps import RunningApp, merchant_app_settings, running, user_app_settings


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    async with running(user_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def merchant_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    async with running(merchant_app_settings(database_url, redis_url)) as app:
        yield app
