"""Several hosts in one URL: whichever is the primary serves, and the next one after it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import DatabaseSettings
from shared.db import connecting
from shared.db.engine import RECHECK_SECONDS, create_engine
from tests.conftest import POSTGRES
from tests.support.apps import Signed, running, user_app_settings
from tests.support.deadlines import deadline
from tests.support.networks import Wire
from tests.support.pooler import needs_pgbouncer, pooler_before, through
from tests.support.standby import POSTGRES_OFFSET, Standby, standby_of
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.xdist_group("hosts")


@pytest.fixture(scope="module")
def standby(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]
) -> Iterator[Standby]:
    """One for all: the last test promotes it."""
    home = tmp_path_factory.mktemp("hosts") / "standby"
    with standby_of(os.environ[POSTGRES], home, free_port_base()) as running_standby:
        yield running_standby


@pytest.fixture
def port(free_port_base: Callable[[], int]) -> int:
    """Where a pooler may listen."""
    return free_port_base() + POSTGRES_OFFSET


def with_hosts(url: str, *ports: int) -> str:
    """The URL with these ports of the loopback as its hosts, in this order."""
    one = make_url(url)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://{one.username}:{one.password}@{hosts}/{one.database}"


@asynccontextmanager
async def engine_of(url: str, *, pooler: str = "none") -> AsyncIterator[AsyncEngine]:
    settings = DatabaseSettings(database_url=SecretStr(url), database_pooler=pooler)
    engine = create_engine(settings, application_name="tests")
    try:
        yield engine
    finally:
        await engine.dispose()


async def server_of(engine: AsyncEngine) -> tuple[int, bool]:
    """Its port, and whether it is a standby."""
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT inet_server_port(), pg_is_in_recovery()"))).one()
        return row[0], row[1]


async def pay_until_done(asha: Signed, ravi: Signed) -> None:
    async def is_done() -> bool:
        status = (await asha.send(ravi.wallet_id, 1_00, key="k")).status_code
        assert status in (201, 503)
        return status == 201

    await eventually_async(is_done, "the transfer is done")


async def test_a_host_that_does_not_answer_holds_up_the_others_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "HEAD_START_SECONDS", 0.05)
    calls: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: calls.append(writer), "127.0.0.1", 0)
    primary_port = make_url(database_url).port
    assert primary_port is not None
    ports = silent.sockets[0].getsockname()[1], primary_port
    async with silent, engine_of(with_hosts(database_url, *ports)) as engine:
        async with engine.connect() as first:
            assert await first.scalar(text("SELECT inet_server_port()")) == primary_port
            monkeypatch.setattr(connecting, "HEAD_START_SECONDS", deadline(60))
            async with engine.connect() as second:
                assert await second.scalar(text("SELECT inet_server_port()")) == primary_port
        assert len(calls) == 1, "the host that answered comes first from now on"
        for writer in calls:
            writer.close()


async def test_a_wrong_password_is_told_rather_than_that_another_host_is_away(database_url: str) -> None:
    one = make_url(database_url)
    assert one.port is not None
    async with engine_of(with_hosts(database_url.replace(str(one.password), "wrong"), one.port, 1)) as engine:
        with pytest.raises(DBAPIError, match="password authentication failed"):
            await server_of(engine)


@needs_pgbouncer
async def test_a_standby_behind_a_pooler_is_refused_on_connections_that_are_open(  # noqa: PLR0917 - its fixtures
    database_url: str, wire: Wire, standby: Standby, redis_url: str, redis: Redis, tmp_path: Path, port: int
) -> None:
    """The pooler's clients stay connected while its server is replaced."""
    with pooler_before(wire.through(os.environ[POSTGRES]), tmp_path / "pgbouncer", port):
        settings = user_app_settings(through(database_url, port), redis_url, database_pooler="transaction")
        async with running(settings) as app:
            asha, ravi = await app.person("Asha", balance=1000_00), await app.person("Ravi")
            assert (await asha.send(ravi.wallet_id, 1_00)).status_code == 201
            await standby.caught_up()
            await reconnect(wire, standby.port)
            for _ in range(2):  # at once, and after a while
                reads = [await asha.get(path) for path in ("/wallet", "/transactions", "/withdrawals", "/accounts")]
                assert [answer.status_code for answer in reads] == [503] * 4
                assert (await asha.send(ravi.wallet_id, 1_00, key="k")).status_code == 503
                assert (await app.client.get("/readyz")).status_code == 503
                await asyncio.sleep(RECHECK_SECONDS)
            await reconnect(wire, make_url(database_url).port or 0)
            await pay_until_done(asha, ravi)
            assert (await ravi.wallet())["balance"] == 2_00
            assert (await asha.get("/withdrawals")).status_code == 200


async def reconnect(wire: Wire, port: int) -> None:
    """Let the far end of the wire be another server from now on."""
    wire.cut()
    wire.target_port = port
    wire.mend()


async def test_the_primary_is_found_in_either_order_and_after_it_the_promoted_standby(
    database_url: str, wire: Wire, standby: Standby, redis_url: str, redis: Redis
) -> None:
    primary_port = make_url(database_url).port
    for ports in ((wire.port, standby.port), (standby.port, wire.port)):
        async with engine_of(with_hosts(database_url, *ports)) as engine:
            assert await server_of(engine) == (primary_port, False)
    async with AsyncExitStack() as stack:
        # One process lists the present primary first, the other one last.
        apps = [
            await stack.enter_async_context(running(user_app_settings(with_hosts(database_url, *ports), redis_url)))
            for ports in ((wire.port, standby.port), (standby.port, wire.port))
        ]
        pairs = [(await app.person("Asha", balance=1000_00), await app.person("Ravi")) for app in apps]
        assert [(await asha.send(ravi.wallet_id, 1_00)).status_code for asha, ravi in pairs] == [201, 201]
        await standby.caught_up()
        wire.cut()
        refused = [await asha.send(ravi.wallet_id, 1_00, key="k") for asha, ravi in pairs]
        assert [answer.status_code for answer in refused] == [503, 503]
        await standby.promote()
        for app, (asha, ravi) in zip(apps, pairs, strict=True):
            await pay_until_done(asha, ravi)
            assert (await ravi.wallet())["balance"] == 2_00
            assert (await app.client.get("/readyz")).status_code == 200
