"""No log holds an account number, also when a row that has one breaks a rule: neither the server's log nor ours."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.local.postgres import QUIET_LOG
from infra.postgres.roles import grant_service_roles
from shared import clock
from shared.db.direct import direct_connection
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import Withdrawal
from shared.runtime.logs import JsonFormatter
from tests.conftest import POSTGRES
from tests.support.waiting import eventually

Values = dict[str, Any]


@pytest.fixture
async def server_log() -> Path:
    """What the server writes to standard error; the stack keeps it in a file."""
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    data = Path(await administrator.fetchval("SHOW data_directory"))
    await administrator.close()
    return data.parents[1] / "log" / "postgres.log"


def impossible(account_number: str) -> Values:
    """A withdrawal of no money, which the schema refuses."""
    return {
        "id": new_id(), "owner_id": UUID(int=1), "account_id": UUID(int=2), "hold_id": UUID(int=3), "bank": "hdfc",
        "account_number": account_number, "ifsc": "HDFC0000001", "account_holder": "Asha", "amount": 0,
        "currency": "INR", "status": "queued", "attempts": 0, "created_at": clock.now(),
    }  # fmt: skip


async def insert_impossible(connection: asyncpg.Connection, account_number: str) -> asyncpg.PostgresError:
    values = impossible(account_number)
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await connection.execute(f"INSERT INTO withdrawals ({', '.join(values)}) VALUES ({places})", *values.values())
    return caught.value


async def test_the_servers_log_has_neither_row_nor_statement(engine: AsyncEngine, server_log: Path) -> None:
    async with direct_connection(engine) as connection:
        await insert_impossible(connection, "700000000001")
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.execute("SELECT '700000000002' FROM nowhere_700")
        # The same without the guard: the log and the number are what this test looks for.
        await connection.execute("SET log_error_verbosity = 'default'; SET log_min_error_statement = error")
        await insert_impossible(connection, "700000000003")
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.execute("SELECT '700000000004' FROM nowhere")
        await connection.execute("RESET log_error_verbosity; RESET log_min_error_statement")

    def with_both() -> str | None:
        log = server_log.read_text(encoding="utf-8")
        return log if "700000000003" in log and "700000000004" in log else None

    log = await asyncio.to_thread(eventually, with_both)
    assert "ck_withdrawals_amount_positive" in log
    assert "nowhere_700" in log
    assert "700000000001" not in log
    assert "700000000002" not in log


async def test_our_log_has_not_the_row(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    number = "700000000005"  # a traceback quotes the code, which only names it
    with pytest.raises(IntegrityError) as of_session:
        async with sessionmaker.begin() as session:
            await session.execute(insert(Withdrawal).values(impossible(number)))
    async with direct_connection(engine) as connection:
        of_driver = await insert_impossible(connection, number)
    assert number in str(of_driver.detail)  # the server does say so
    for error in (of_session.value, of_driver):
        failed = (type(error), error, error.__traceback__)
        record = logging.LogRecord("tests", logging.ERROR, __file__, 1, "failed: %s", (error,), failed)
        line = JsonFormatter().format(record)
        assert "ck_withdrawals_amount_positive" in line
        assert number not in line


@pytest.mark.xdist_group("database roles")
async def test_the_database_asks_for_the_same_on_any_server(fresh_database_url: str) -> None:
    grant_service_roles(fresh_database_url, passwords={})
    connection = await asyncpg.connect(fresh_database_url)
    rows = await connection.fetch("SELECT name, setting, source FROM pg_settings WHERE name = ANY($1)", list(QUIET_LOG))
    await connection.close()
    assert {row["name"]: row["setting"] for row in rows} == QUIET_LOG
    assert {row["source"] for row in rows} == {"database"}
