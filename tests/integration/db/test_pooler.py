"""Batua behind PgBouncer in transaction mode: each transaction may get another connection to the server.

Some of the races of tests/concurrency run here; `make test-pooler` runs all of them so.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, limits
from tests.concurrency import test_batches, test_transfers
from tests.conftest import POSTGRES
from tests.support.apps import PIN, running, user_app_settings
from tests.support.deadlines import deadline
from tests.support.pooler import needs_pgbouncer, pooler_before, through
from tests.support.service_roles import PASSWORD
from tests.support.standby import POSTGRES_OFFSET

pytestmark = needs_pgbouncer

FEW = 3
"""Connections to the server, for the seventeen that one process has to the pooler."""
PEOPLE, ROUNDS = 6, 3
SET_BY_POOLER = {"application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings"}

test_of_fifty_transfers_twenty_happen = test_transfers.test_of_fifty_transfers_with_money_for_twenty_twenty_happen
test_twenty_copies_move_money_once = test_transfers.test_twenty_copies_of_a_request_move_money_once
test_a_storm_leaves_the_books_coherent = test_transfers.test_a_storm_over_shared_accounts_leaves_the_books_coherent
test_a_commit_whose_answer_is_lost_is_found = test_batches.test_a_commit_whose_answer_is_lost_is_found_again
test_batches_and_singles_never_deadlock = test_batches.test_batches_and_single_requests_never_deadlock


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Iterator[int]:
    """A pooler with room for races."""
    port = free_port_base() + POSTGRES_OFFSET
    with pooler_before(os.environ[POSTGRES], tmp_path_factory.mktemp("pooler") / "pgbouncer", port):
        yield port


@pytest.fixture
def narrow_port(tmp_path: Path, free_port_base: Callable[[], int]) -> Iterator[int]:
    """A pooler with FEW connections to each database."""
    port = free_port_base() + POSTGRES_OFFSET
    with pooler_before(os.environ[POSTGRES], tmp_path / "pgbouncer", port, connections=FEW):
        yield port


def settings(url: str, *, pooler: str = "transaction", pool_size: int = 20) -> DatabaseSettings:
    return DatabaseSettings(
        database_url=SecretStr(url),
        database_pooler=pooler,
        database_pool_size=pool_size,
        database_pool_timeout_seconds=deadline(30),
    )


@pytest.fixture
async def engine(database_url: str, port: int) -> AsyncIterator[AsyncEngine]:
    """In the place of the one that reaches Postgres itself."""
    engine = create_engine(settings(through(database_url, port)), application_name="tests")
    yield engine
    await engine.dispose()


@pytest.fixture
async def as_user_app(fresh_database_url: str) -> str:
    """The URL of user_app's role, with its limits, in a database of the test's own."""
    own = settings(fresh_database_url)
    passwords = dict.fromkeys(SERVICE_ROLES, PASSWORD)
    await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=passwords, limits=limits(own))
    url = make_url(fresh_database_url).set(username="user_app", password=PASSWORD)
    return url.render_as_string(hide_password=False)


@pytest.mark.xdist_group("database roles")  # they are of the whole server
async def test_people_share_few_connections_and_leave_nothing_on_them(
    as_user_app: str, fresh_database_url: str, narrow_port: int, redis_url: str, redis: Redis
) -> None:
    pooled = through(as_user_app, narrow_port)
    async with running(user_app_settings(pooled, redis_url, database_pooler="transaction")) as app:
        people = [await app.person(f"Asha{number}", balance=1000_00) for number in range(PEOPLE)]

        async def live(number: int) -> None:
            me, next_one = people[number], people[(number + 1) % PEOPLE]
            for turn in range(ROUNDS):
                assert (await me.send(next_one.wallet_id, 10_00, key=f"k{turn}")).status_code == 201
                assert (await me.send(next_one.wallet_id, 10_00, key=f"k{turn}")).status_code == 201
                items = [{"to": next_one.wallet_id, "amount": 1_00}] * 2
                assert (await me.post("/transfers/bulk", items=items, pin=PIN)).status_code == 200
                for path in ("/wallet", "/transactions", "/transactions?direction=DEBIT", "/users?filter=Asha"):
                    answer = await me.client.get(f"/api/v1{path}", headers=me._headers())
                    assert answer.status_code == 200, answer.text
                assert (await me.get("/transactions.csv")).status_code == 200

        await asyncio.gather(*map(live, range(PEOPLE)))
        assert [(await person.wallet())["balance"] for person in people] == [1000_00] * PEOPLE
        assert (await app.client.get("/readyz")).status_code == 200
    assert await left_behind(pooled) == set()


async def left_behind(url: str) -> set[str]:
    """Prepared statements, settings and locks on the server's connections, each of which answers in turn."""
    connection = await asyncpg.connect(url, statement_cache_size=0, timeout=deadline())
    found: set[str] = set()
    pids: set[int] = set()
    try:
        for _ in range(4 * FEW):
            async with connection.transaction():
                pids.add(await connection.fetchval("SELECT pg_backend_pid()"))
                found |= {row[0] for row in await connection.fetch("SELECT name FROM pg_prepared_statements")}
                found |= {
                    row[0] for row in await connection.fetch("SELECT name FROM pg_settings WHERE source = 'session'")
                }
                held = "SELECT locktype FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                found |= {row[0] for row in await connection.fetch(held)}
    finally:
        await connection.close()
    assert len(pids) == FEW, "each connection was looked at"
    return found - SET_BY_POOLER


@pytest.mark.xdist_group("database roles")
async def test_the_role_ends_every_wait(as_user_app: str, port: int, caplog: pytest.LogCaptureFixture) -> None:
    own = settings(through(as_user_app, port))
    engine = create_engine(own, application_name="tests")
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT name, setting FROM pg_settings"))).all()
    await engine.dispose()
    assert limits(own).items() <= dict(found).items()
    assert "no limit" not in caplog.text


async def test_a_role_without_limits_is_complained_about(
    database_url: str, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(settings(through(database_url, port)), application_name="tests")
    async with engine.connect(), engine.connect():
        pass
    await engine.dispose()
    assert caplog.text.count("no limit by statement_timeout, lock_timeout, idle_in_transaction_session_timeout") == 1


async def test_without_the_setting_the_pooler_refuses(database_url: str, port: int) -> None:
    """What a session asks for at its start is refused, before a statement is kept where another client meets it."""
    engine = create_engine(settings(through(database_url, port), pooler="none"), application_name="tests")
    try:
        with pytest.raises((asyncpg.PostgresError, DBAPIError), match="unsupported startup parameter"):
            async with engine.connect():
                pass
    finally:
        await engine.dispose()
