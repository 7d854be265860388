"""Alembic's entry point; run through `shared.migrations.runner`."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

import shared.models  # noqa: F401 - importing it fills the metadata
from shared.db.base import Base
from shared.db.engine import async_url

LOCK_TIMEOUT = "5s"
"""A migration that cannot get its lock gives up rather than queue every service behind it."""


def _run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run() -> None:
    url = async_url(context.config.attributes["database_url"])
    engine = create_async_engine(url, poolclass=pool.NullPool, connect_args={"timeout": 5})
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_connect_and_run())
