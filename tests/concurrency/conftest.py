"""Simulated banks, and a world whose database gives transactions up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from shared.db.engine import SessionMaker
from tests.support.banks_alone import banks_alone
from tests.support.faulty_world import World, faulty_world


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the simulated banks answer; their notices go nowhere."""
    with banks_alone(tmp_path_factory.mktemp("bank")) as url:
        yield url


@pytest.fixture
async def world(
    sessionmaker: SessionMaker, database_url: str, redis_url: str, redis: Redis, bank_url: str
) -> AsyncIterator[World]:
    """On this worker's database."""
    async with faulty_world(sessionmaker, database_url, redis_url, bank_url) as world:
        yield world
