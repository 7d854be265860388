"""One transaction of a command, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.failures import read_settings
from infra.local.environment import load_local_environment
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker

Result = TypeVar("Result")


def in_transaction(
    work: Callable[[AsyncSession], Awaitable[Result]],
    *,
    name: str,
    statement_seconds: float | None = None,
    may_be_standby: bool = False,
) -> Result:
    """Run `work`, and commit unless it raises. `name` is what Postgres shows of the connection.

    `statement_seconds`: how long one statement may take, where that is longer than the setting. A server in recovery is
    refused unless it `may_be_standby`.
    """

    async def run() -> Result:
        more = {} if statement_seconds is None else {"database_statement_timeout_seconds": statement_seconds}
        settings = read_settings(DatabaseSettings, database_pool_size=1, **more)
        engine = create_engine(settings, application_name=name, may_be_standby=may_be_standby)
        try:
            async with create_sessionmaker(engine).begin() as session:
                return await work(session)
        finally:
            await engine.dispose()

    load_local_environment()
    return asyncio.run(run())
