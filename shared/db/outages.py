"""Which exceptions mean that the database is away or too slow, rather than that we made a mistake."""

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
)
"""All that can go wrong with a database: while a connection is being made, some of it is as the driver raised it."""

# Lost connection, serialization or deadlock, out of resources, lock not available, cancelled or shutting down.
_PASSING_STATES = {"08", "40", "53", "55", "57"}
_CONNECTION_ERRORS = (
    PoolTimeout,
    ConnectionError,
    TimeoutError,
    # The driver lost its place in the conversation, as it may when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
)


def is_outage(error: BaseException) -> bool:
    """True when asking again later may well succeed."""
    if isinstance(error, DBAPIError):
        raised = error.orig.orig if isinstance(error.orig, EmulatedDBAPIException) else error.orig
        # What was prepared before a migration does not fit after it: that error names no cause, and the next try
        # prepares anew.
        return error.connection_invalidated or raised is None or is_outage(raised)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _PASSING_STATES
    if isinstance(error, asyncpg.InterfaceError):
        # A connection that is gone. Those that are also a ValueError tell of an argument or a setting of ours.
        return not isinstance(error, ValueError)
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    # A refused connection to several addresses at once is a bare OSError; one about a file is ours.
    return isinstance(error, OSError) and error.filename is None
