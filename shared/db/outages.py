"""Which exceptions mean that the database is away or too slow, rather than that we made a mistake."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Lost connection, serialization or deadlock, out of resources, lock not available, cancelled or shutting down.
_PASSING_STATES = {"08", "40", "53", "55", "57"}
_CONNECTION_ERRORS = (
    PoolTimeout,
    ConnectionError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    # The driver lost its place in the conversation, as it may when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
)


def is_outage(error: BaseException) -> bool:
    """True when asking again later may well succeed."""
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    if isinstance(error, DBAPIError):
        # What the server itself refuses has a state; without one it is the connection that failed.
        state = getattr(error.orig, "sqlstate", None)
        return error.connection_invalidated or state is None or state[:2] in _PASSING_STATES
    # A refused connection to several addresses at once is a bare OSError; one about a file is ours.
    return isinstance(error, OSError) and error.filename is None
