"""An outage of the database is told from a mistake in our code, wherever the driver raises it."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.db.outages import is_outage

AWAY = [
    ConnectionRefusedError(111, "Connection refused"),
    OSError("Multiple exceptions: [Errno 111] Connect call failed"),
    TimeoutError(),
    PoolTimeout("QueuePool limit reached"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("got result for unknown protocol state 3"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
    asyncpg.AdminShutdownError("terminating connection due to administrator command"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
    asyncpg.DeadlockDetectedError("deadlock detected"),
    asyncpg.SerializationError("could not serialize access"),
    asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
    asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    asyncpg.TargetServerAttributeNotMatched("None of the hosts match the target attribute requirement"),
]
OURS = [
    asyncpg.UndefinedColumnError("column does not exist"),
    asyncpg.UniqueViolationError("duplicate key value"),
    asyncpg.InvalidPasswordError("password authentication failed"),
    asyncpg.DataError("invalid input for query argument $1"),
    asyncpg.ClientConfigurationError("invalid connection option"),
    FileNotFoundError(2, "No such file or directory", "/nowhere"),
    KeyError("name"),
]


def name(error: Exception) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", AWAY, ids=name)
def test_a_database_that_is_away_may_be_asked_again(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", OURS, ids=name)
def test_a_mistake_of_ours_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)


@pytest.mark.parametrize("error", AWAY + OURS, ids=name)
def test_the_wrapping_of_a_pooled_connection_changes_no_verdict(error: Exception) -> None:
    wrapped = AsyncAdapt_asyncpg_dbapi.Error("wrapped", error)  # type: ignore[no-untyped-call]
    assert is_outage(wrapped) is is_outage(error)


def test_a_write_in_a_session_that_only_reads_is_a_mistake() -> None:
    """A server that rejects writes costs the session its connection."""
    wrapped = AsyncAdapt_asyncpg_dbapi.Error("wrapped", asyncpg.ReadOnlySQLTransactionError("x"))  # type: ignore[no-untyped-call]
    assert not is_outage(DBAPIError("INSERT", (), wrapped))
    assert is_outage(DBAPIError("INSERT", (), wrapped, connection_invalidated=True))


def test_a_connection_the_pool_gave_up_is_an_outage() -> None:
    assert is_outage(DBAPIError("SELECT 1", (), asyncpg.UndefinedColumnError("x"), connection_invalidated=True))
