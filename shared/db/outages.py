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
        return error.connection_invalidated or error.orig is None or is_outage(error.orig)
    if isinstance(error, EmulatedDBAPIException):
        return error.orig is None or is_outage(error.orig)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _PASSING_STATES
    if isinstance(error, asyncpg.InterfaceError):
        # The connection is gone. An InterfaceError that is also a ValueError means a wrong argument or setting.
        return not isinstance(error, ValueError)
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    # A connection refused at several addresses is a plain OSError; an OSError about a file is our mistake.
    return isinstance(error, OSError) and error.filename is None
