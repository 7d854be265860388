"""Only the schema's owner lets entries go, and the database itself says which."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from infra.postgres.roles import SERVICE_ROLES
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from tests.support.archive_world import ArchiveWorld, old_world
from tests.support.deadlines import deadline
from tests.support.service_roles import PASSWORD, connected, grant

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

NO_RIGHT, REFUSED = "42501", "23001"
WRITES = [
    "DELETE FROM entries",
    "UPDATE entries SET amount = amount",
    "TRUNCATE entries",
    "INSERT INTO opening_balances (account_id, seq, seal_id) SELECT account_id, last_seq, 1 FROM ledger_seal_ranges",
    "UPDATE opening_balances SET seq = seq + 1",
    "DELETE FROM opening_balances",
    "TRUNCATE opening_balances",
    "INSERT INTO archived_seals VALUES (3, 'f', 'h', 0, 'h', 0, 0, now())",
    "UPDATE archived_seals SET file_name = 'x'",
    "DELETE FROM archived_seals",
    "TRUNCATE archived_seals",
]


@pytest.fixture
async def world(fresh_database_url: str, fresh_sessionmaker: SessionMaker, tmp_path: Path) -> ArchiveWorld:
    await grant(fresh_database_url)
    return await old_world(fresh_sessionmaker, tmp_path / "archive")


async def refused(connection: Any, statement: str) -> str:
    """The SQLSTATE with which it is refused, or nothing."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    finally:
        await transaction.rollback()
    return ""


@pytest.mark.parametrize("role", SERVICE_ROLES)
async def test_a_service_has_no_right_and_would_be_refused_if_it_had(
    world: ArchiveWorld, fresh_database_url: str, role: str
) -> None:
    administrator = await owner(fresh_database_url)
    try:
        await administrator.execute(f"{OPEN_ALICE} '{world.alice.id}'")
        async with connected(fresh_database_url, role) as connection:
            for statement in (*WRITES, *of_the_owner(world)):
                assert await refused(connection, statement) == NO_RIGHT, statement
        await administrator.execute(f"GRANT ALL ON entries, opening_balances, archived_seals TO {role}")
        async with connected(fresh_database_url, role) as connection:
            for statement in WRITES:
                assert await refused(connection, statement) in (NO_RIGHT, REFUSED), statement
            for statement, sqlstate in of_the_owner(world).items():
                assert await refused(administrator, statement) == ""
                assert await refused(connection, statement) == sqlstate, statement
    finally:
        await administrator.close()


def of_the_owner(world: ArchiveWorld) -> dict[str, str]:
    """What the owner may do once an account is opened, and how another is refused who has the right to the table."""
    return {
        f"DELETE FROM entries WHERE account_id = '{world.alice.id}' AND seq <= 4": REFUSED,
        f"{OPEN_ALICE} '{world.carol.id}'": NO_RIGHT,
        f"UPDATE opening_balances SET seq = 7, seal_id = 2 WHERE account_id = '{world.alice.id}'": NO_RIGHT,
        "INSERT INTO archived_seals VALUES (1, 'f', 'h', 0, 'h', 0, 0, now())": NO_RIGHT,
    }


async def test_an_operator_has_no_right(world: ArchiveWorld, fresh_database_url: str) -> None:
    await world.archive()
    administrator = await asyncpg.connect(fresh_database_url)
    try:
        await administrator.execute(f"CREATE ROLE archive_operator LOGIN PASSWORD '{PASSWORD}' IN ROLE batua_operator")
        async with connected(fresh_database_url, "archive_operator") as connection:
            assert await connection.fetchval("SELECT count(*) FROM opening_balances") == 4
            assert await connection.fetchval("SELECT count(*) FROM archived_seals") == 2
            for statement in WRITES:
                assert await refused(connection, statement) == NO_RIGHT, statement
    finally:
        await administrator.execute("DROP ROLE IF EXISTS archive_operator")
        await administrator.close()


OF_SEAL_1 = "SELECT account_id, last_seq, seal_id FROM ledger_seal_ranges WHERE seal_id = 1 AND account_id = "
OPEN_ALICE = f"INSERT INTO opening_balances (account_id, seq, seal_id) {OF_SEAL_1}"


async def owner(url: str) -> Any:
    """A connection that may do what the schema's owner may."""
    return await asyncpg.connect(url, timeout=deadline())


async def test_the_owner_deletes_only_behind_an_opening_balance(world: ArchiveWorld, fresh_database_url: str) -> None:
    connection = await owner(fresh_database_url)
    try:
        assert await refused(connection, "DELETE FROM entries") == REFUSED
        await connection.execute(f"{OPEN_ALICE} '{world.alice.id}'")
        of_alice = f"DELETE FROM entries WHERE account_id = '{world.alice.id}'"
        assert await refused(connection, f"{of_alice} AND seq <= 5") == REFUSED
        assert await refused(connection, f"DELETE FROM entries WHERE account_id = '{world.bob.id}'") == REFUSED
        assert await connection.execute(f"{of_alice} AND seq <= 4") == "DELETE 4"
    finally:
        await connection.close()


async def test_entries_of_this_year_stay_whatever_their_seal_says(world: ArchiveWorld, fresh_database_url: str) -> None:
    await world.archive()
    await world.tamper("UPDATE ledger_seals SET sealed_at = sealed_at - interval '2 years' WHERE id = 3")
    connection = await owner(fresh_database_url)
    try:
        statement = f"UPDATE opening_balances SET seq = 8, seal_id = 3 WHERE account_id = '{world.alice.id}'"
        assert await refused(connection, statement) == REFUSED
    finally:
        await connection.close()


async def test_the_worker_proves_and_seals_what_is_archived(world: ArchiveWorld, fresh_database_url: str) -> None:
    await world.archive()
    await world.move("p2p", world.alice, world.bob, 1)
    url = make_url(fresh_database_url).set(username="withdraw_worker", password=PASSWORD)
    engine = create_engine(
        DatabaseSettings(database_url=SecretStr(url.render_as_string(hide_password=False))), application_name="worker"
    )
    try:
        worker = dataclasses.replace(world, sessionmaker=create_sessionmaker(engine))
        await worker.seal()
        report = await worker.prove()
        assert report.ok, report.failed
        quick = await worker.prove_new()
        assert quick.proof.ok, quick.proof.failed
    finally:
        await engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"{OPEN_ALICE} (SELECT id FROM accounts WHERE kind = 'funding')", id="an account of the platform"),
        pytest.param(
            "INSERT INTO opening_balances (account_id, seq, seal_id) VALUES ('{alice}', 3, 1)", id="within a seal"
        ),
        pytest.param(
            "INSERT INTO opening_balances (account_id, seq, seal_id) VALUES ('{alice}', 7, 2)", id="over a seal"
        ),
        pytest.param(
            "INSERT INTO opening_balances (account_id, seq, seal_id) VALUES ('{carol}', 1, 2)", id="of another seal"
        ),
        pytest.param("INSERT INTO archived_seals VALUES (2, 'f', 'h', 0, 'h', 0, 0, now())", id="not the next seal"),
    ],
)
async def test_the_owner_opens_an_account_where_a_seal_ends(
    world: ArchiveWorld, fresh_database_url: str, statement: str
) -> None:
    connection = await owner(fresh_database_url)
    try:
        filled = statement.format(alice=world.alice.id, carol=world.carol.id)
        assert await refused(connection, filled) == REFUSED
    finally:
        await connection.close()


async def test_an_opening_balance_only_moves_forward_and_behind_old_seals(
    world: ArchiveWorld, fresh_database_url: str
) -> None:
    await world.archive()
    connection = await owner(fresh_database_url)
    try:
        of_alice = f"WHERE account_id = '{world.alice.id}'"
        for statement in (
            f"UPDATE opening_balances SET seq = 4, seal_id = 1 {of_alice}",
            f"UPDATE opening_balances SET balance = balance {of_alice}",
            f"UPDATE opening_balances SET seq = 8, seal_id = 3 {of_alice}",  # sealed today
            f"UPDATE opening_balances SET account_id = '{world.carol.id}' {of_alice}",
            f"DELETE FROM opening_balances {of_alice}",
            "TRUNCATE opening_balances",
            "UPDATE archived_seals SET file_hash = ''",
            "DELETE FROM archived_seals",
            "TRUNCATE archived_seals",
            "INSERT INTO archived_seals VALUES (3, 'f', 'h', 0, 'h', 0, 0, now())",  # sealed today
        ):
            assert await refused(connection, statement) == REFUSED, statement
    finally:
        await connection.close()


async def test_the_owner_opens_no_account_whose_entries_do_not_follow(
    world: ArchiveWorld, fresh_database_url: str
) -> None:
    await world.tamper("UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = :alice AND seq = 2")
    connection = await owner(fresh_database_url)
    try:
        assert await refused(connection, f"{OPEN_ALICE} '{world.alice.id}'") == REFUSED
        await world.tamper("DELETE FROM entries WHERE account_id = :bob AND seq = 1")
        assert await refused(connection, f"{OPEN_ALICE} '{world.bob.id}'") == REFUSED
    finally:
        await connection.close()
