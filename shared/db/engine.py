"""Engines and session factories. Build them after fork or thread start, one per process, and close them."""

from __future__ import annotations

from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared.config import DatabaseSettings

SessionMaker = async_sessionmaker[AsyncSession]

CONNECT_TIMEOUT_SECONDS = 5.0
_MILLISECONDS = 1000


def async_url(url: str) -> str:
    """The same address with the asyncpg driver, whichever way it was written."""
    return make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def create_engine(settings: DatabaseSettings, *, application_name: str) -> AsyncEngine:
    """An engine on which every wait (connection, lock, statement, idle transaction) has an end."""
    statement_timeout = settings.database_statement_timeout_seconds
    return create_async_engine(
        async_url(settings.database_url.get_secret_value()),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_pre_ping=True,
        pool_recycle=1800,
        # An error's text ends up in a log, and the values of a statement may be hashes or account numbers.
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
            },
        },
    )


def create_sessionmaker(engine: AsyncEngine) -> SessionMaker:
    """Sessions that keep what they loaded after commit; lazy loads are refused by the models."""
    return async_sessionmaker(engine, expire_on_commit=False)
