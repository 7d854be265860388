"""Engines and session factories. Create one engine per process, after fork or thread start, and close it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared.config import DatabaseSettings

SessionMaker = async_sessionmaker[AsyncSession]

CONNECT_TIMEOUT_SECONDS = 5.0
_MILLISECONDS = 1000


def async_url(url: str) -> str:
    """The URL with the asyncpg driver."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def create_engine(
    settings: DatabaseSettings,
    *,
    application_name: str,
    pool_size: int | None = None,
    planner: Mapping[str, str] | None = None,
) -> AsyncEngine:
    """Create an engine. Every wait has a timeout: connection, pool, lock, statement, idle transaction.

    `pool_size` takes the place of the setting. `planner`: settings of Postgres's planner for each connection.
    """
    statement_timeout = settings.database_statement_timeout_seconds
    engine = create_async_engine(
        async_url(settings.database_url.get_secret_value()),
        pool_size=settings.database_pool_size if pool_size is None else pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_recycle=1800,
        # Error texts are logged, and the values of a statement may be hashes or account numbers.
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_SECONDS,
            "command_timeout": statement_timeout + CONNECT_TIMEOUT_SECONDS,
            "server_settings": {
                "application_name": application_name,
                "jit": "off",
                "statement_timeout": str(int(statement_timeout * _MILLISECONDS)),
                "lock_timeout": str(int(settings.database_lock_timeout_seconds * _MILLISECONDS)),
                "idle_in_transaction_session_timeout": str(int(2 * statement_timeout * _MILLISECONDS)),
                **(planner or {}),
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Make the pool open another connection: the driver knows that the server hung up, without a ping per checkout."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def create_sessionmaker(engine: AsyncEngine) -> SessionMaker:
    """Create sessions whose objects stay loaded after commit. The models refuse lazy loads."""
    return async_sessionmaker(engine, expire_on_commit=False)
