"""Alembic's entry point; run through `shared.migrations.runner`."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, event, pool

import shared.models  # noqa: F401 - importing it fills the metadata
from shared.db.base import Base
from shared.db.connecting import Connector
from shared.db.engine import open_engine

LOCK_TIMEOUT = "5s"
"""A migration that cannot get its lock gives up rather than queue every service behind it."""


def _limit_waits(connection: Connection) -> None:
    """For the transaction that begins, so that nothing is left on a connection that a pooler gives to others.

    A step that commits by itself is in none: what is set for it is taken back in the end.
    """
    commits_itself = connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
    connection.exec_driver_sql(f"SET {'' if commits_itself else 'LOCAL '}lock_timeout = '{LOCK_TIMEOUT}'")


def _run(connection: Connection) -> None:
    event.listen(connection, "begin", _limit_waits)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.exec_driver_sql("RESET lock_timeout")
    connection.commit()


async def _connect_and_run() -> None:
    connector = Connector(context.config.attributes["database_url"], server="primary", is_pooled=True)
    engine = open_engine(connector, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_connect_and_run())
