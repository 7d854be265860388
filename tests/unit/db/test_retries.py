"""Which failures of a transaction are worth another attempt at once."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.db import retries
from shared.db.outages import is_momentary, is_rolled_back
from shared.db.retries import MAX_ATTEMPTS, retried

MOMENTARY = [
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InvalidCachedStatementError("cached statement plan is invalid"),
    ConnectionRefusedError(111, "Connection refused"),
]
LASTING = [
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.UniqueViolationError("duplicate key value"),
    asyncpg.UndefinedColumnError("column does not exist"),
    TimeoutError(),
    PoolTimeout("QueuePool limit reached"),
]


def name(error: Exception) -> str:
    return type(error).__name__


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_SECONDS", 0)


@pytest.mark.parametrize("error", MOMENTARY, ids=name)
async def test_what_is_over_in_a_moment_is_tried_again(error: Exception) -> None:
    calls: list[int] = []

    async def attempt() -> str:
        calls.append(len(calls))
        if len(calls) < MAX_ATTEMPTS:
            raise error
        return "done"

    assert await retried(attempt) == "done"
    assert len(calls) == MAX_ATTEMPTS


async def attempts_that_raise(error: Exception) -> int:
    calls: list[int] = []

    async def attempt() -> None:
        calls.append(len(calls))
        raise error

    with pytest.raises(type(error)):
        await retried(attempt)
    return len(calls)


@pytest.mark.parametrize("error", MOMENTARY, ids=name)
async def test_the_last_attempt_raises(error: Exception) -> None:
    assert await attempts_that_raise(error) == MAX_ATTEMPTS


@pytest.mark.parametrize("error", LASTING, ids=name)
async def test_what_has_waited_or_is_wrong_is_not_tried_again(error: Exception) -> None:
    assert await attempts_that_raise(error) == 1


@pytest.mark.parametrize("error", MOMENTARY + LASTING, ids=name)
def test_the_wrapping_of_a_pooled_connection_changes_no_verdict(error: Exception) -> None:
    wrapped = AsyncAdapt_asyncpg_dbapi.Error("wrapped", error)  # type: ignore[no-untyped-call]
    assert is_momentary(wrapped) is is_momentary(error)
    assert is_momentary(DBAPIError("SELECT 1", (), wrapped, connection_invalidated=True))


def test_only_a_lost_conflict_says_that_a_commit_took_no_effect() -> None:
    assert [name(error) for error in MOMENTARY if is_rolled_back(error)] == [
        "SerializationError",
        "DeadlockDetectedError",
    ]
