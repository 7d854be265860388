"""Another connection that locks a row or a table while a test goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from shared.db.engine import SessionMaker
from shared.ledger import sql
from shared.ledger.sql import LockMode


@asynccontextmanager
async def lock_held(sessionmaker: SessionMaker, statement: str, **values: Any) -> AsyncIterator[None]:
    """Hold what the statement locks while the block runs, however long a busy machine takes for it."""
    async with sessionmaker() as session:
        await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await session.execute(text(statement), values)
        yield
        await session.rollback()


@asynccontextmanager
async def locked(sessionmaker: SessionMaker, table: str, row: object) -> AsyncIterator[None]:
    """Hold the row with this id while the block runs."""
    async with lock_held(sessionmaker, f"SELECT FROM {table} WHERE id = :id FOR UPDATE", id=row):
        yield


def let_batches_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch waits for its accounts as long as the test holds them: it would be set aside in LOCK_SECONDS."""
    for statements in (sql._LOCK, sql._LOOK_UP_AND_LOCK):
        monkeypatch.setitem(statements, LockMode.IN_TIME, statements[LockMode.WAIT])
