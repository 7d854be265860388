"""Engines and session factories. Create one engine per process, after fork or thread start, and close it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from shared.addresses import database_word
from shared.config import DatabaseSettings
from shared.db.connecting import CONNECT_TIMEOUT_SECONDS, Connector, Server, learn_arrays
from shared.db.outages import DATABASE_ERRORS, rejects_writes
from shared.db.terse_errors import make_errors_terse

SessionMaker = async_sessionmaker[AsyncSession]

RECHECK_SECONDS = 1.0
_MILLISECONDS = 1000
_TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
_CHECKED_AT = "checked_at"


def open_engine(connector: Connector, **options: Any) -> AsyncEngine:
    """An engine whose driver reads the URL itself, so that it may hold all words of libpq, `sslmode` among them.

    `options` are passed to SQLAlchemy.
    """

    def connect() -> Any:
        adapter: Any = engine.sync_engine.dialect.dbapi
        kept = {"prepared_statement_cache_size": 0} if connector.is_pooled else {}
        return adapter.connect(async_creator_fn=connector.connect, **kept)

    engine = create_async_engine("postgresql+asyncpg://", creator=connect, **options)
    if connector.is_pooled:  # after the adapter has set its own types, which makes the driver forget all others
        event.listen(engine.sync_engine, "connect", lambda connection, _: connection.run_async(learn_arrays))
    return engine


def limits(settings: DatabaseSettings) -> dict[str, str]:
    """The settings of Postgres that end every wait of a session. Behind a pooler a session cannot ask for them: its
    role has them (`batua migrate --service-roles`).
    """
    statement_timeout = settings.database_statement_timeout_seconds
    return {
        "jit": "off",
        "statement_timeout": str(int(statement_timeout * _MILLISECONDS)),
        "lock_timeout": str(int(settings.database_lock_timeout_seconds * _MILLISECONDS)),
        "idle_in_transaction_session_timeout": str(int(2 * statement_timeout * _MILLISECONDS)),
    }


def create_engine(
    settings: DatabaseSettings,
    *,
    application_name: str,
    pool_size: int | None = None,
    planner: Mapping[str, str] | None = None,
    may_be_standby: bool = False,
) -> AsyncEngine:
    """Create an engine. Every wait has a timeout: connection, pool, lock, statement, idle transaction.

    `pool_size` takes the place of the setting. `planner`: settings of Postgres's planner for each connection, which a
    pooler leaves out: there no plan is kept. A server in recovery is refused unless it `may_be_standby`: what it
    answers was true a while ago, of revoked sessions too.
    """
    make_errors_terse()
    url = settings.database_url.get_secret_value()
    is_pooled = settings.database_pooler == "transaction"
    asked = {} if is_pooled else {**limits(settings), **(planner or {})}
    connector = Connector(
        url,
        server=_server(url, may_be_standby=may_be_standby),
        is_pooled=is_pooled,
        limits=_TIMEOUTS,
        connect={
            "command_timeout": settings.database_statement_timeout_seconds + CONNECT_TIMEOUT_SECONDS,
            "server_settings": {"application_name": application_name, **asked},
        },
    )
    engine = open_engine(
        connector,
        pool_size=settings.database_pool_size if pool_size is None else pool_size,
        max_overflow=0,
        # The connection that worked last: its server process has the plans and the catalog of our statements at hand.
        pool_use_lifo=True,
        pool_timeout=settings.database_pool_timeout_seconds,
        pool_recycle=1800,
        # Error texts are logged, and the values of a statement may be hashes or account numbers.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "handle_error", _leave_demoted)
    event.listen(engine.sync_engine, "handle_error", _leave_unbegun)
    if is_pooled and not may_be_standby:
        event.listen(engine.sync_engine, "connect", _note_check)
        event.listen(engine.sync_engine, "checkout", _refuse_demoted)
    return engine


def _server(url: str, *, may_be_standby: bool) -> Server:
    """What the URL asks for, but never a standby unless it may be one."""
    word = database_word(url, "target_session_attrs")
    if may_be_standby:
        return cast("Server", word or "any")
    return "read-write" if word == "read-write" else "primary"


def _note_check(_connection: Any, record: Any) -> None:
    """The connector has looked at the server just now."""
    record.info[_CHECKED_AT] = time.monotonic()


def _refuse_demoted(connection: Any, record: Any, _proxy: Any) -> None:
    """Leave a pooler whose server has become a standby. A connection of our own would have broken with that."""
    if time.monotonic() - record.info[_CHECKED_AT] < RECHECK_SECONDS:
        return
    try:
        is_standby = connection.run_async(lambda driver: driver.fetchval("SELECT pg_is_in_recovery()"))
    except DATABASE_ERRORS as error:
        raise DisconnectionError from error
    if is_standby:
        raise DisconnectionError
    record.info[_CHECKED_AT] = time.monotonic()


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Make the pool open another connection: the driver knows that the server hung up, without a ping per checkout."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _leave_demoted(context: ExceptionContext) -> None:
    """Give up the connections to a server that has begun to reject writes."""
    connection = context.connection
    if connection is not None and rejects_writes(context.original_exception):
        context.is_disconnect = not connection.get_execution_options().get("postgresql_readonly", False)


def _leave_unbegun(context: ExceptionContext) -> None:
    """Give up a connection whose BEGIN failed. The driver takes what failed for the outer transaction of each later
    one, which would fail at its savepoint.

    A statement that fails leaves the transaction open, and a commit has no statement.
    """
    connection = context.connection
    if connection is None or context.statement is None or connection.closed or connection.invalidated:
        return
    pooled = connection.connection
    assert pooled.driver_connection is not None
    assert pooled.dbapi_connection is not None
    has_begun = pooled.driver_connection.is_in_transaction()
    if not has_begun and not context.dialect.detect_autocommit_setting(pooled.dbapi_connection):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False  # the others are sound


def create_sessionmaker(engine: AsyncEngine) -> SessionMaker:
    """Create sessions whose objects stay loaded after commit. The models refuse lazy loads."""
    return async_sessionmaker(engine, expire_on_commit=False)
