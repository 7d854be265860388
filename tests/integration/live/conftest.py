"""Both apps on real ports, so that a test can read a stream and call the app at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from fastapi import FastAPI

from tests.support.apps import Settings, application, merchant_app_settings, user_app_settings
from tests.support.serving import serving_beside

NO_REDIS = "redis://127.0.0.1:1/0"


@dataclass
class Served:
    """An app behind a port."""

    app: FastAPI
    url: str


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Served]:
    """The app of these settings behind a port."""
    with application(settings) as app:
        async with serving_beside(app) as url:
            yield Served(app, url)


@pytest.fixture
async def people(database_url: str, redis_url: str) -> AsyncIterator[Served]:
    """user_app behind a port."""
    async with served(user_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def shops(database_url: str, redis_url: str) -> AsyncIterator[Served]:
    """merchant_app behind a port."""
    async with served(merchant_app_settings(database_url, redis_url)) as app:
        yield app


@pytest.fixture
async def people_without_redis(database_url: str) -> AsyncIterator[Served]:
    """user_app without Redis."""
    async with served(user_app_settings(database_url, NO_REDIS)) as app:
        yield app
