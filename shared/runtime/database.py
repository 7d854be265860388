"""What a process opens to reach Postgres. A service that needs no more than that loads nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker


@dataclass(frozen=True, slots=True)
class Database:
    """One engine and three kinds of sessions on its connections."""

    engine: AsyncEngine
    sessionmaker: SessionMaker
    """Sessions that write: a transaction each."""
    read_sessionmaker: SessionMaker
    """Sessions that read: a transaction each, in which Postgres rejects every write."""
    lookup_sessionmaker: SessionMaker
    """Sessions for one SELECT: no transaction around it, so half the round trips."""


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, application_name: str) -> AsyncIterator[Database]:
    """Engine and sessions of one process. Nothing connects before the first statement."""
    engine = create_engine(settings, application_name=application_name)
    try:
        yield Database(
            engine=engine,
            sessionmaker=create_sessionmaker(engine),
            read_sessionmaker=create_sessionmaker(engine.execution_options(postgresql_readonly=True)),
            lookup_sessionmaker=create_sessionmaker(engine.execution_options(isolation_level="AUTOCOMMIT")),
        )
    finally:
        await engine.dispose()
