"""Make a database on a server that may still be starting."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from infra.postgres.roles import await_here, run_quoted
from shared.db.outages import DATABASE_ERRORS, is_outage

CONNECT_SECONDS = 5.0
PAUSE_SECONDS = 1.0
_ALWAYS_THERE = "postgres"


def ensure_database(url: str, *, wait_seconds: float) -> bool:
    """Make the database that this URL names, unless it is there; whether it was made now.

    While the server is away, starting, or leads nowhere yet, it is asked again for `wait_seconds`. Raises what the
    driver raised last.
    """
    return await_here(_ensure_database(url, time.monotonic() + wait_seconds))


async def _ensure_database(url: str, ends_at: float) -> bool:
    while True:
        try:
            return not await _is_there(url) and await _create(url)
        except DATABASE_ERRORS as error:
            if not is_outage(error) or time.monotonic() >= ends_at:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


async def _is_there(url: str) -> bool:
    try:
        connection = await _connect(url)
    except asyncpg.InvalidCatalogNameError:
        return False
    await connection.close(timeout=CONNECT_SECONDS)
    return True


async def _create(url: str) -> bool:
    parts = urlsplit(url)
    connection = await _connect(urlunsplit(parts._replace(path=f"/{_ALWAYS_THERE}")))
    try:
        # Without a limit: in a new cluster the first commit waits for the first standby, which copies the primary.
        await run_quoted(connection, "CREATE DATABASE %I", unquote(parts.path.removeprefix("/")))
    except asyncpg.DuplicateDatabaseError:
        return False  # another command was faster
    finally:
        await connection.close(timeout=CONNECT_SECONDS)
    return True


async def _connect(url: str) -> asyncpg.Connection:
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
