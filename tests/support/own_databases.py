"""Databases that the tests of a module share, and no other test: of another locale, or for another engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.engine import make_url

from shared.config import DatabaseEngine
from shared.ids import new_token
from shared.migrations import runner
from tests.conftest import POSTGRES


@contextmanager
def migrated_database(options: str = "", *, engine: DatabaseEngine = "postgres") -> Iterator[str]:
    """The URL of a new database, with what `options` say of it, whose schema was made for this engine."""
    name = f"own_{new_token(6).lower()}"
    asyncio.run(_administer(f'CREATE DATABASE "{name}" {options}'))
    url = make_url(os.environ[POSTGRES]).set(database=name).render_as_string(hide_password=False)
    runner.upgrade(url, engine=engine)
    yield url
    asyncio.run(_administer(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(statement: str) -> None:
    administrator = await asyncpg.connect(os.environ[POSTGRES])
    await administrator.execute(statement)
    await administrator.close()
