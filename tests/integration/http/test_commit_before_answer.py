"""A failed commit is never answered with 200."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from fastapi import APIRouter
from sqlalchemy import text

from shared.db.retries import in_transaction
from shared.http.dependencies import CurrentResources
from shared.runtime.resources import AccountSettings
from tests.support.small_service import running

PROMISE = text("INSERT INTO promises (kept_by) VALUES (1)")


@pytest.fixture
async def promises(database_url: str) -> AsyncIterator[None]:
    """A table with a constraint that is checked at commit and always broken."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("""
        CREATE TABLE keepers (id int PRIMARY KEY);
        CREATE TABLE promises (kept_by int REFERENCES keepers (id) DEFERRABLE INITIALLY DEFERRED);
    """)
    yield
    await connection.execute("DROP TABLE promises; DROP TABLE keepers")
    await connection.close()


@pytest.fixture
def router() -> APIRouter:
    made = APIRouter()

    @made.post("/before")
    async def before(resources: CurrentResources) -> str:
        await in_transaction(resources.sessionmaker, lambda session: session.execute(PROMISE))
        return "promised"

    @made.post("/read")
    async def read(resources: CurrentResources) -> str:
        await resources.read(lambda session: session.execute(PROMISE))
        return "promised"

    return made


@pytest.mark.usefixtures("promises")
async def test_a_failed_commit_is_a_500(settings: AccountSettings, router: APIRouter) -> None:
    async with running(settings, router) as client:
        response = await client.post("/before")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "keepers" not in response.text


@pytest.mark.usefixtures("promises")
async def test_a_read_session_cannot_write(settings: AccountSettings, router: APIRouter) -> None:
    async with running(settings, router) as client:
        assert (await client.post("/read")).status_code == 500
