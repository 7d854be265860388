"""How Postgres finds the rows of gathered questions: by key, also with a plan from when the tables were empty."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth import sessions
from shared.auth.email_confirmation import AWAITED
from shared.config import DatabaseSettings
from shared.db.direct import direct_connection
from shared.runtime.database import open_database
from shared.transfers import senders
from shared.withdrawals import freezes


@pytest.fixture
async def direct_engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    settings = DatabaseSettings(database_url=SecretStr(database_url))
    async with open_database(settings, application_name="tests") as database:
        yield database.direct_engine


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (sessions._ASK.format(awaits=AWAITED), 2),
        (senders._ASK.format(is_unverified=AWAITED), 7),
        (freezes._STOPPED, 1),
    ],
    ids=["sessions", "senders", "freezes"],
)
async def test_no_table_is_read_whole(direct_engine: AsyncEngine, statement: str, parameters: int) -> None:
    async with direct_connection(direct_engine) as connection:
        await connection.execute(f"PREPARE asked AS {statement}")
        rows = await connection.fetch(f"EXPLAIN EXECUTE asked ({', '.join(['NULL'] * parameters)})")
        await connection.execute("DEALLOCATE asked")
    plan = "\n".join(row[0] for row in rows)
    assert re.search(r"Function Scan on (\w+ )?asked", plan), plan
    assert "Seq Scan" not in plan, plan
    assert "Hash" not in plan, plan
    assert "Merge" not in plan, plan
