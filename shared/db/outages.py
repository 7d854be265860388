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
    # The driver lost its place in the conversation, as it may when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
)


def is_outage(error: BaseException) -> bool:
    """True when asking again later may well succeed.

    What goes wrong while a connection is being made reaches us as the driver raised it, all else inside a `DBAPIError`.
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or is_outage(error.driver_exception)
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _PASSING_STATES
    if isinstance(error, asyncpg.InterfaceError):
        # A connection that is gone. Those that are also a ValueError tell of an argument or a setting of ours.
        return not isinstance(error, ValueError)
    if isinstance(error, _CONNECTION_ERRORS):
        return True
    # A refused connection to several addresses at once is a bare OSError; one about a file is ours.
    return isinstance(error, OSError) and error.filename is None
