"""Tell an outage of the database (away, too slow, restarting) from a mistake in our code."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, EmulatedDBAPIException, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

DATABASE_ERRORS = (
    SQLAlchemyError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    EmulatedDBAPIException,
)
"""Every exception that a database call raises. During connection set-up the driver's own exceptions come unwrapped, and
those of a connection taken from the pool without a session come in the adapter's wrapping alone.
"""

# Lost connection, serialization or deadlock, out of resources, lock not available, cancelled or shutting down.
_PASSING_STATES = {"08", "40", "53", "55", "57"}
# The transaction lost a conflict with another one, and was rolled back.
_CONFLICTS = {"40001", "40P01"}
# The server ended the connection, or is about to stop or to start.
_SERVER_STOPS = {"57P01", "57P02", "57P03"}
_CONNECTION_ERRORS = (
    PoolTimeout,
    ConnectionError,
    TimeoutError,
    # The driver lost track of the protocol, as happens when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
)


def is_outage(error: BaseException) -> bool:
    """Whether the same statement may succeed later."""
    if isinstance(error, DBAPIError):
        # A statement prepared before a migration fails after it without a cause; the next try prepares it again.
        # A server that rejects writes costs a session its connection: without that, the session itself only reads.
        original = error.orig
        is_gone = error.connection_invalidated or original is None
        return is_gone or (original is not None and is_outage(original) and not rejects_writes(original))
    if isinstance(error, EmulatedDBAPIException):
        return error.orig is None or is_outage(error.orig)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _PASSING_STATES or rejects_writes(error)
    if isinstance(error, asyncpg.InterfaceError):
        # The connection is gone. An InterfaceError that is also a ValueError means a wrong argument or setting.
        return not isinstance(error, ValueError)
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    # A connection refused at several addresses is a plain OSError; an OSError about a file is our mistake.
    return isinstance(error, OSError) and error.filename is None


def rejects_writes(error: BaseException | None) -> bool:
    """Whether a statement was rejected because its transaction can only read (SQLSTATE 25006).

    Unless the transaction asked for that, its connection leads to a server that was demoted or is a standby: it must
    not return to the pool.
    """
    original = error.orig if isinstance(error, EmulatedDBAPIException) else error
    return isinstance(original, asyncpg.ReadOnlySQLTransactionError)


def waited_for_a_lock(error: BaseException | None) -> bool:
    """Whether the statement gave up waiting for a lock (SQLSTATE 55P03)."""
    if isinstance(error, DBAPIError | EmulatedDBAPIException):
        return waited_for_a_lock(error.orig)
    return isinstance(error, asyncpg.LockNotAvailableError)


def may_pass_at_once(error: BaseException) -> bool:
    """Whether the same statement may succeed when it is sent again now: after an outage; or after a migration, when the
    driver's prepared statement is out of date once and the next attempt prepares it again.
    """
    return is_outage(error) or isinstance(error, asyncpg.InvalidCachedStatementError)


def is_momentary(error: BaseException | None) -> bool:
    """Whether a new transaction may succeed at once: this one lost a conflict, or its server or connection was lost.

    Not after a timeout: who has waited for a lock, a connection or an answer does not wait for it again.
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (is_momentary(error.orig) and not rejects_writes(error.orig))
    if isinstance(error, EmulatedDBAPIException):
        return is_momentary(error.orig)
    if error is None or isinstance(error, PoolTimeout | TimeoutError):
        return False
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        is_stale = isinstance(error, asyncpg.InvalidCachedStatementError)
        return state[:2] == "08" or state in _CONFLICTS | _SERVER_STOPS or is_stale or rejects_writes(error)
    return is_outage(error)


def is_rolled_back(error: BaseException | None) -> bool:
    """Whether the error, also one of a commit, says that the transaction took no effect: it lost a conflict."""
    if isinstance(error, DBAPIError | EmulatedDBAPIException):
        return is_rolled_back(error.orig)
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _CONFLICTS
