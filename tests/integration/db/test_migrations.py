from __future__ import annotations

import asyncio

from alembic import command
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.banks.table import BANKS
from shared.db.base import Base
from shared.db.engine import async_url
from shared.ledger import system_accounts
from shared.migrations import runner


async def tables(url: str) -> set[str]:
    engine = create_async_engine(async_url(url), poolclass=NullPool)
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()
    return set(names) - {"alembic_version"}


async def test_every_migration_goes_up_and_down_and_up_again(empty_database_url: str) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url)
    assert await tables(empty_database_url) == set(Base.metadata.tables)
    await asyncio.to_thread(runner.downgrade, empty_database_url)
    assert await tables(empty_database_url) == set()
    await asyncio.to_thread(runner.upgrade, empty_database_url)
    assert await tables(empty_database_url) == set(Base.metadata.tables)


async def test_the_models_say_what_the_migrations_make(fresh_database_url: str) -> None:
    await asyncio.to_thread(command.check, runner.configuration(fresh_database_url))


async def test_the_chart_of_accounts_is_there_from_the_start(fresh_database_url: str) -> None:
    engine = create_async_engine(async_url(fresh_database_url), poolclass=NullPool)
    async with engine.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT id, kind, name, allow_negative FROM accounts")
        found = {row.id: (row.kind, row.name) for row in rows if row.allow_negative}
    await engine.dispose()
    assert found == {
        system_accounts.FUNDING: ("funding", "funding"),
        system_accounts.SUSPENSE: ("suspense", "suspense"),
        system_accounts.FEES: ("fees", "fees"),
        **{bank.settlement_account_id: ("bank_settlement", bank.code) for bank in BANKS.values()},
    }
