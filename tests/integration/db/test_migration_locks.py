"""No migration locks a table for as long as it takes to go through it: payments would wait for all that time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.pool import NullPool

from shared.db.connecting import Connector
from shared.db.engine import open_engine
from shared.migrations import runner
from tests.support.migration_locks import watching

LONG_LOCKS = {
    "0004": "an index of `accounts`, when Batua had no release and no accounts",
    "0005": "a check of `accounts`, when Batua had no release and no accounts",
    "0011": "rewrites `idempotency_keys`, a week of keys, which its changelog says",
}
"""The migrations that do, and why they may. No new one joins them: CONTRIBUTING.md says how to split such a step."""

_TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"


def revisions() -> list[str]:
    script = ScriptDirectory.from_config(runner.configuration(""))
    return [each.revision for each in reversed(list(script.walk_revisions()))]


async def test_no_migration_goes_through_a_table_that_it_has_locked(empty_database_url: str) -> None:
    found: dict[str, Sequence[str]] = {}
    connection = await asyncpg.connect(empty_database_url)
    for revision in revisions():
        existing = {row[0] for row in await connection.fetch(_TABLES)}
        with watching(existing) as watch:
            await asyncio.to_thread(runner.upgrade, empty_database_url, revision)
        if watch.found:
            found[revision] = watch.found
    await connection.close()
    assert found.keys() == LONG_LOCKS.keys(), found


@pytest.mark.parametrize(
    ("statement", "is_long"),
    [
        ("CREATE INDEX i ON things (amount)", True),
        ("ALTER TABLE things ADD CONSTRAINT c CHECK (amount > 0)", True),
        ("ALTER TABLE things ADD CONSTRAINT c CHECK (amount > 0) NOT VALID", False),
        ("ALTER TABLE things ADD CONSTRAINT f FOREIGN KEY (other) REFERENCES others (id)", True),
        ("ALTER TABLE things ADD CONSTRAINT f FOREIGN KEY (other) REFERENCES others (id) NOT VALID", False),
        ("ALTER TABLE things ADD CONSTRAINT u UNIQUE (amount)", True),
        ("ALTER TABLE things ALTER COLUMN amount TYPE numeric", True),
        ("ALTER TABLE things ALTER COLUMN name TYPE varchar(20)", False),
        ("ALTER TABLE things ALTER COLUMN amount SET NOT NULL", True),
        ("ALTER TABLE things ALTER COLUMN checked SET NOT NULL", False),
        ("ALTER TABLE things ADD COLUMN more bigint NOT NULL DEFAULT 0", False),
        ("ALTER TABLE things ADD COLUMN more double precision DEFAULT random()", True),
        ("ALTER TABLE things SET UNLOGGED", True),
        ("ALTER TABLE things VALIDATE CONSTRAINT later", False),
        ("UPDATE things SET amount = 1", True),
        ("DROP INDEX things_name", False),
        ("CREATE TABLE more (id int PRIMARY KEY, thing int REFERENCES things (id))", False),
    ],
)
@pytest.mark.parametrize("commits_itself", [False, True])
async def test_a_statement_that_locks_for_long_is_noticed(
    empty_database_url: str, statement: str, is_long: bool, commits_itself: bool
) -> None:
    engine = open_engine(Connector(empty_database_url, server="primary"), poolclass=NullPool)
    async with engine.begin() as connection:
        for line in (
            "CREATE TABLE others (id int PRIMARY KEY)",
            "CREATE TABLE things (id int PRIMARY KEY, name varchar(10), amount bigint, checked int, other int)",
            "CREATE INDEX things_name ON things (name)",
            "ALTER TABLE things ADD CONSTRAINT c1 CHECK (checked IS NOT NULL)",
            "ALTER TABLE things ADD CONSTRAINT later CHECK (amount <> 0) NOT VALID",
        ):
            await connection.execute(text(line))
    with watching({"things", "others"}) as watch:
        async with engine.connect() as connection:
            if commits_itself:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(statement))
            await connection.rollback()
    await engine.dispose()
    assert bool(watch.found) == is_long, watch.found


async def test_a_strong_lock_that_is_kept_while_another_table_is_read_is_noticed(empty_database_url: str) -> None:
    engine = open_engine(Connector(empty_database_url, server="primary"), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE things (id int PRIMARY KEY)"))
        await connection.execute(text("CREATE TABLE others (id int PRIMARY KEY)"))
    with watching({"things", "others"}) as watch:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE things ADD COLUMN name varchar"))
            assert watch.found == []
            await connection.execute(text("SELECT count(*) FROM others"))
    await engine.dispose()
    (found,) = watch.found
    assert "goes through others while things is locked" in found


async def test_an_index_that_is_built_concurrently_is_fine(empty_database_url: str) -> None:
    engine = open_engine(Connector(empty_database_url, server="primary"), poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE things (id int PRIMARY KEY)"))
    with watching({"things"}) as watch:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("CREATE INDEX CONCURRENTLY i ON things (id)"))
    await engine.dispose()
    assert watch.found == []
