"""`batua migrate --create-database` on a server that is there, or that comes later."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from infra.cli.main import app
from infra.postgres.databases import ensure_database
from shared.db.outages import DATABASE_ERRORS, is_outage
from shared.ids import new_token
from tests.conftest import POSTGRES
from tests.support.deadlines import deadline
from tests.support.networks import Wire

NAME = 'books "of" Asha'


@pytest.fixture
async def missing() -> AsyncIterator[str]:
    """A URL whose database the server does not have. A superuser's."""
    server = make_url(os.environ[POSTGRES])
    name = f"{NAME} {new_token()[:8]}"
    yield server.set(database=name).render_as_string(hide_password=False)
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    quoted = await administrator.fetchval("SELECT format('%I', $1::text)", name)
    await administrator.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
    await administrator.close()


async def test_a_database_is_made_once(missing: str) -> None:
    assert ensure_database(missing, wait_seconds=0) is True
    assert ensure_database(missing, wait_seconds=0) is False
    connection = await asyncpg.connect(missing)
    assert str(await connection.fetchval("SELECT current_database()")).startswith(NAME)
    await connection.close()


async def test_a_server_that_leads_nowhere_yet_is_waited_for(missing: str, wire: Wire) -> None:
    wire.cut()
    waiting = asyncio.create_task(asyncio.to_thread(ensure_database, wire.through(missing), wait_seconds=deadline(60)))
    done, _ = await asyncio.wait({waiting}, timeout=1.5)  # longer than the pause between two attempts
    assert not done, "the first attempt failed, and there was another"
    wire.mend()
    assert await waiting is True


async def test_without_patience_the_server_is_asked_once(missing: str, wire: Wire) -> None:
    wire.cut()
    with pytest.raises(DATABASE_ERRORS) as raised:
        await asyncio.to_thread(ensure_database, wire.through(missing), wait_seconds=0)
    assert is_outage(raised.value)


async def test_a_wrong_password_is_not_waited_for(missing: str) -> None:
    wrong = make_url(missing).set(password="wrong").render_as_string(hide_password=False)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncio.to_thread(ensure_database, wrong, wait_seconds=3600)


async def test_migrate_makes_the_database_and_its_schema(missing: str, tmp_path: Path) -> None:
    environment = {"BATUA_DATABASE_URL": missing, "BATUA_HOME": str(tmp_path), "BATUA_ENV": "local"}
    arguments = ["migrate", "--create-database", "--wait-seconds", "60"]
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)
    assert done.exit_code == 0, done.output
    assert "The server did not have the database, and has it now." in done.output
    again = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)
    assert again.exit_code == 0, again.output
    assert "did not have" not in again.output
