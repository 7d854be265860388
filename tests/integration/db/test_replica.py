"""Reads that a standby answers while it lags: no one sees less than what they did, or were paid, before."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from shared.runtime.database import Database
from tests.conftest import POSTGRES
from tests.support.apps import PIN, RunningApp, Signed, merchant_app_settings, running, user_app_settings
from tests.support.browsing import Browser
from tests.support.deadlines import deadline
from tests.support.standby import Standby, standby_of
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.xdist_group("replica")

LAG_SECONDS = 3600.0
"""Longer than a test takes, however busy the machine is."""
FAR_SECONDS = 1800.0
"""And longer than any of it was behind since it began."""


@pytest.fixture(scope="module")
def standby(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]
) -> Iterator[Standby]:
    """One for all tests here."""
    home = tmp_path_factory.mktemp("replica") / "standby"
    with standby_of(os.environ[POSTGRES], home, free_port_base()) as running_standby:
        yield running_standby


@pytest.fixture
async def lagging(standby: Standby) -> AsyncIterator[Standby]:
    """Shows nothing new from when the test says so until it ends, or lets it."""
    yield standby
    await standby.delay(0)


@pytest.fixture
def read_url(database_url: str, standby: Standby) -> SecretStr:
    return SecretStr(make_url(database_url).set(port=standby.port).render_as_string(hide_password=False))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the replica ends when it is answered: one that is given up leaves all reads to the primary."""
    monkeypatch.setattr("shared.db.replica.LOOK_TIMEOUT_SECONDS", deadline())


@pytest.fixture
async def user_app(
    database_url: str, redis_url: str, redis: Redis, read_url: SecretStr, patient: None
) -> AsyncIterator[RunningApp]:
    """With a replica, however far behind."""
    settings = user_app_settings(database_url, redis_url, read_database_url=read_url, read_lag_seconds=FAR_SECONDS)
    async with running(settings) as app:
        await until_near(app)
        yield app


@pytest.fixture
async def merchant_app(
    database_url: str, redis_url: str, redis: Redis, read_url: SecretStr, patient: None
) -> AsyncIterator[RunningApp]:
    settings = merchant_app_settings(database_url, redis_url, read_database_url=read_url, read_lag_seconds=FAR_SECONDS)
    async with running(settings) as app:
        await until_near(app)
        yield app


def database_of(app: RunningApp) -> Database:
    database: Database = app.app.state.resources
    return database


async def until_near(app: RunningApp, is_near: bool = True) -> None:
    async def has_come() -> bool:
        replica = database_of(app).replica
        assert replica is not None
        return replica.is_near is is_near

    await eventually_async(has_come, "the replica is near" if is_near else "the replica is too far behind", seconds=60)


def outcomes() -> dict[str, float]:
    """How many reads had which outcome."""
    return {
        outcome: REGISTRY.get_sample_value("batua_replica_reads_total", {"outcome": outcome}) or 0
        for outcome in ("replica", "behind", "far", "failed")
    }


def since(before: dict[str, float]) -> dict[str, float]:
    return {outcome: count - before[outcome] for outcome, count in outcomes().items() if count != before[outcome]}


async def newest_at(url: SecretStr, who: Signed) -> int:
    """The number of the wallet's newest entry that this server shows."""
    account_id = (await who.wallet())["account_id"]
    connection = await asyncpg.connect(url.get_secret_value(), timeout=deadline())
    try:
        return int(await connection.fetchval("SELECT seq FROM accounts WHERE id = $1", account_id))
    finally:
        await connection.close()


async def newest_amounts(who: Signed) -> list[int]:
    """The amount of the newest line of each kind of statement."""
    plain = (await who.get("/transactions", limit=1)).json()["items"]
    filtered = (await who.get("/transactions", since="2020-01-01T00:00:00Z", limit=1)).json()["items"]
    rows = (await who.get("/transactions.csv")).text.splitlines()
    amount = rows[1].split(",")[rows[0].split(",").index("amount")]
    return [plain[0]["amount"], filtered[0]["amount"], round(float(amount) * 100)]


async def test_statements_and_reports_come_from_the_replica(
    user_app: RunningApp, merchant_app: RunningApp, standby: Standby
) -> None:
    asha, shop = await user_app.person("Asha", balance=1000_00), await merchant_app.shop()
    assert (await asha.send(shop.wallet_id, 70_00)).status_code == 201
    await standby.caught_up()
    before = outcomes()
    assert await newest_amounts(asha) == await newest_amounts(shop) == [70_00] * 3
    assert since(before) == {"replica": 6}
    for path in ("/inflow/summary", "/inflow/daily", "/inflow/monthly", "/inflow/report"):
        assert (await shop.get(path)).status_code == 200
    assert (await Browser(shop).open("/")).text.count("₹70.00") > 1
    assert (await Browser(asha).open("/activity")).status == 200
    assert [each["first_name"] for each in (await asha.get("/users", filter="Zebulon")).json()["items"]] == []
    assert set(since(before)) == {"replica"}


async def test_no_one_sees_less_than_their_last_payment_on_a_replica_that_lags(
    user_app: RunningApp, merchant_app: RunningApp, standby: Standby, lagging: Standby, read_url: SecretStr
) -> None:
    asha, ravi = await user_app.person("Asha", balance=1000_00), await user_app.person("Ravi", balance=5_00)
    kavya, shop = await user_app.person("Kavya", balance=7_00), await merchant_app.shop()
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    other_pot = (await asha.post("/accounts", key=None, name="Diu")).json()["id"]
    assert (await asha.post("/transfers", to=pot, amount=30_00, pin=PIN)).status_code == 201
    await standby.caught_up()
    await lagging.delay(LAG_SECONDS)

    assert (await asha.send(ravi.wallet_id, 60_00)).status_code == 201
    assert (await asha.send(shop.wallet_id, 70_00)).status_code == 201
    moved = await asha.post("/transfers", to=other_pot, from_account=pot, amount=10_00, pin=PIN)
    assert moved.status_code == 201
    before = outcomes()
    assert await newest_amounts(asha) == await newest_amounts(shop) == [70_00] * 3
    assert await newest_amounts(ravi) == [60_00] * 3
    assert [(await who.wallet())["balance"] for who in (asha, ravi, shop)] == [840_00, 65_00, 70_00]
    home, dashboard = await Browser(asha).open("/"), await Browser(shop).open("/")
    assert "₹840 .00" in home.text
    assert "₹70" in home.text
    assert (await shop.get("/inflow/summary")).json()["today"] == {"amount": 70_00, "count": 1, "average": 70_00}
    assert dashboard.text.count("₹70.00") > 1
    assert (await asha.get("/transactions", account_id=pot)).json()["items"][0]["amount"] == 10_00
    assert "₹60 .00" in (await Browser(ravi).open("/activity")).text
    seen = since(before)
    assert await newest_at(read_url, ravi) == 1, "until here the standby did not show the payment"
    assert seen["behind"] >= 12
    assert "replica" not in seen

    before = outcomes()
    assert await newest_amounts(kavya) == [7_00] * 3
    assert since(before) == {"replica": 3}, "who neither paid nor was paid reads the replica meanwhile"

    await lagging.delay(0)

    async def is_by_replica() -> bool:
        before = outcomes()
        assert (await newest_amounts(asha))[0] == 70_00
        return since(before) == {"replica": 3}

    await eventually_async(is_by_replica, "the replica shows the payment")


async def test_beyond_the_bound_the_primary_answers(  # noqa: PLR0917 - its fixtures
    database_url: str, redis_url: str, redis: Redis, read_url: SecretStr, standby: Standby, lagging: Standby
) -> None:
    settings = user_app_settings(database_url, redis_url, read_database_url=read_url, read_lag_seconds=1)
    await lagging.delay(LAG_SECONDS)
    async with running(settings) as app:
        await app.person("Asha", balance=1000_00)  # what is written makes the standby fall behind
        await until_near(app, is_near=False)
        asha = await app.person("Asha", balance=1_00)
        before = outcomes()
        assert await newest_amounts(asha) == [1_00] * 3
        assert (await asha.get("/users", filter="Asha")).status_code == 200
        assert since(before) == {"far": 4}

        async def is_shown() -> bool:  # at the next look: the lag grows meanwhile
            return (REGISTRY.get_sample_value("batua_replica_lag_seconds") or 0) > 1

        await eventually_async(is_shown, "the lag is shown")


async def test_a_replica_that_is_away_or_stands_still_is_not_missed(
    database_url: str, redis_url: str, redis: Redis, read_url: SecretStr, standby: Standby
) -> None:
    settings = user_app_settings(database_url, redis_url, read_database_url=read_url, read_lag_seconds=FAR_SECONDS)
    async with running(settings) as app:
        asha = await app.person("Asha", balance=1000_00)
        await standby.caught_up()
        await until_near(app)
        before = outcomes()
        standby.pause(True)
        try:
            assert await newest_amounts(asha) == [1000_00] * 3, "asked while it stands still"
        finally:
            standby.pause(False)
        assert since(before)["failed"] >= 1
        await until_near(app)
        before = outcomes()
        assert await newest_amounts(asha) == [1000_00] * 3
        assert since(before) == {"replica": 3}
    nowhere = SecretStr(make_url(database_url).set(port=1).render_as_string(hide_password=False))
    async with running(settings.model_copy(update={"read_database_url": nowhere})) as app:
        signed = await app.person("Asha", balance=2_00)
        assert await newest_amounts(signed) == [2_00] * 3


async def test_a_server_that_is_no_standby_is_not_read(database_url: str, redis_url: str, redis: Redis) -> None:
    """It may be a primary that was cut off, with payments that no longer happened."""
    settings = user_app_settings(database_url, redis_url, read_database_url=SecretStr(database_url))
    async with running(settings) as app:
        replica = database_of(app).replica
        assert replica is not None
        await replica._look()
        assert not replica.is_near
        assert await newest_amounts(await app.person("Asha", balance=2_00)) == [2_00] * 3
