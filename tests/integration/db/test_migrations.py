from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import asyncpg
import pytest
from alembic import command, op
from alembic.config import Config
from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from shared.banks.table import BANKS
from shared.db.base import Base
from shared.db.connecting import Connector
from shared.db.engine import open_engine
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.migrations import runner
from tests.support.deadlines import deadline


async def tables(url: str) -> set[str]:
    engine = open_engine(Connector(url, server="primary"), poolclass=NullPool)
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


@pytest.mark.parametrize(("before", "revision"), [("0011", "0012"), ("0014", "0015")])
async def test_a_migration_that_was_interrupted_is_repeated(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, before: str, revision: str
) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url, before)
    execute = op.execute

    def interrupted(statement: str, *arguments: Any, **named: Any) -> None:
        if "VALIDATE CONSTRAINT" in statement:
            raise InterruptedError
        execute(statement, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(op, "execute", interrupted)
        with pytest.raises(InterruptedError):
            await asyncio.to_thread(runner.upgrade, empty_database_url, revision)
    await asyncio.to_thread(runner.upgrade, empty_database_url)
    assert await tables(empty_database_url) == set(Base.metadata.tables)


async def test_a_migration_gives_way_to_a_transaction_that_holds_its_table_and_comes_again(
    empty_database_url: str,
) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url, "0014")
    holder = await asyncpg.connect(empty_database_url)
    await holder.execute("BEGIN; LOCK TABLE accounts IN ACCESS SHARE MODE")
    loop, told = asyncio.get_running_loop(), []

    def tell(sentence: str) -> None:
        told.append(sentence)
        asyncio.run_coroutine_threadsafe(holder.execute("COMMIT"), loop).result(deadline())

    upgrade = partial(runner.upgrade, empty_database_url, "0015", pause_seconds=0, tell=tell)
    with pytest.raises(DBAPIError, match="lock timeout"):
        await asyncio.to_thread(upgrade, attempts=1)
    assert told == []
    await asyncio.to_thread(upgrade, attempts=2)
    assert len(told) == 1
    await holder.close()


async def test_a_migration_that_is_given_up_in_a_deadlock_comes_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade, met = command.upgrade, [asyncpg.DeadlockDetectedError("deadlock detected")]

    def meet_another_once(configuration: Config, revision: str) -> None:
        if met:
            raise DBAPIError("ALTER TABLE", None, met.pop())
        upgrade(configuration, revision)

    monkeypatch.setattr(command, "upgrade", meet_another_once)
    told: list[str] = []
    again = partial(runner.upgrade, empty_database_url, "0001", pause_seconds=0, tell=told.append)
    await asyncio.to_thread(again, attempts=2)
    assert len(told) == 1


async def test_a_step_that_commits_by_itself_gives_way_too(empty_database_url: str) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url, "0018")
    holder = await asyncpg.connect(empty_database_url)
    await holder.execute("BEGIN; LOCK TABLE transfers IN ROW EXCLUSIVE MODE")
    with pytest.raises(DBAPIError, match="lock timeout"):
        await asyncio.to_thread(runner.upgrade, empty_database_url, "0019")
    await holder.close()
    await asyncio.to_thread(runner.upgrade, empty_database_url, "0019")


async def test_the_models_say_what_the_migrations_make(fresh_database_url: str) -> None:
    await asyncio.to_thread(command.check, runner.configuration(fresh_database_url))


async def test_the_chart_of_accounts_is_there_from_the_start(fresh_database_url: str) -> None:
    engine = open_engine(Connector(fresh_database_url, server="primary"), poolclass=NullPool)
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


async def test_what_was_reversed_before_the_totals_came_is_added_up(empty_database_url: str) -> None:
    await asyncio.to_thread(runner.upgrade, empty_database_url, "0006")
    engine = open_engine(Connector(empty_database_url, server="primary"), poolclass=NullPool)
    whole, partly, untouched = new_id(), new_id(), new_id()
    insert = """
        INSERT INTO transfers
            (id, kind, debit_account_id, credit_account_id, amount, currency, reverses, created_at)
        VALUES ($1, 'adjustment', $2, $3, $4, 'INR', $5, now())
    """
    fees, funding = system_accounts.FEES, system_accounts.FUNDING
    async with engine.begin() as connection:
        for original in (whole, partly, untouched):
            await connection.exec_driver_sql(insert, (original, funding, fees, 500, None))
        for original, amount in ((whole, 200), (partly, 1), (whole, 300), (partly, 2)):
            await connection.exec_driver_sql(insert, (new_id(), fees, funding, amount, original))
    await asyncio.to_thread(runner.upgrade, empty_database_url)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(insert, (new_id(), fees, funding, 4, partly))
        rows = await connection.exec_driver_sql("SELECT transfer_id, amount, reversed FROM reversed_totals")
        found = {row.transfer_id: (row.amount, row.reversed) for row in rows}
    await engine.dispose()
    assert found == {whole: (500, 500), partly: (500, 7)}


async def test_no_index_of_accounts_contains_what_a_transfer_changes(fresh_database_url: str) -> None:
    engine = open_engine(Connector(fresh_database_url, server="primary"), poolclass=NullPool)
    async with engine.connect() as connection:
        indexes = await connection.run_sync(lambda sync: inspect(sync).get_indexes("accounts"))
    await engine.dispose()
    indexed = {column for index in indexes for column in index["column_names"]}
    assert indexed
    assert indexed & {"balance", "held", "seq", "sent_on", "sent_today"} == set()
