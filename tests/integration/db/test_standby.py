"""A demoted server, and the standby that takes its place: a request is done, or answered 503, and never done twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from tests.conftest import POSTGRES
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed, opened, running, user_app_settings
from tests.support.bank_notices import create_on_ramp, payment_notice, signed, webhook_values
from tests.support.factories import create_user
from tests.support.networks import Wire
from tests.support.standby import Standby, standby_of
from tests.support.waiting import eventually_async

PAYMENTS = 12
BANK_ACCOUNT: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "12345678901",
    "ifsc": "HDFC0001234",
    "account_holder": "Asha Rao",
}


@pytest.fixture
def standby(database_url: str, tmp_path: Path, free_port_base: Callable[[], int]) -> Iterator[Standby]:
    with standby_of(os.environ[POSTGRES], tmp_path / "standby", free_port_base()) as running_standby:
        yield running_standby


@pytest.fixture
async def app(database_url: str, wire: Wire, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """user_app, whose database is whatever is at the other end of the wire."""
    async with running(user_app_settings(wire.through(database_url), redis_url)) as app:
        yield app


@pytest.fixture
async def bank(database_url: str, wire: Wire) -> AsyncIterator[httpx.AsyncClient]:
    """Calls a webhook whose database is there too."""
    settings = BankWebhookSettings(**webhook_values(wire.through(database_url)))
    async with opened(create_app(settings), "http://webhook.test") as client:
        yield client


async def test_a_standby_is_refused_until_it_is_promoted(
    app: RunningApp, bank: httpx.AsyncClient, wire: Wire, standby: Standby
) -> None:
    asha, ravi = await app.person("Asha", balance=1000_00), await app.person("Ravi")
    async with app.sessionmaker.begin() as session:
        notice = signed(payment_notice(await create_on_ramp(session, await create_user(session))))
    assert (await asha.send(ravi.wallet_id, 1_00)).status_code == 201
    await standby.caught_up()

    wire.cut()
    wire.target_port = standby.port
    wire.mend()
    for answer in [await ask() for ask in (*every_kind(asha, ravi), *reads(asha))]:
        assert_may_come_again(answer)
    refused = await bank.post(notice.path, content=notice.body, headers=notice.headers)
    assert_may_come_again(refused)
    assert [(await client.get("/readyz")).status_code for client in (app.client, bank)] == [503, 503]

    payments = [asyncio.create_task(pay_until_done(asha, ravi, f"k{number}")) for number in range(PAYMENTS)]
    await standby.promote()
    assert set().union(*await asyncio.gather(*payments)) <= {201, 503}
    assert (await ravi.wallet())["balance"] == 1_00 + PAYMENTS * 1_00
    settled = await bank.post(notice.path, content=notice.body, headers=notice.headers)
    assert settled.json() == {"verdict": "settled"}
    assert [(await client.get("/readyz")).status_code for client in (app.client, bank)] == [200, 200]

    await standby.refuse_writes(True)
    for answer in [await ask() for ask in every_kind(asha, ravi)]:
        assert_may_come_again(answer)
    assert (await app.client.get("/readyz")).status_code == 503
    await standby.refuse_writes(False)
    assert [(await ask()).status_code for ask in every_kind(asha, ravi)] == [201, 200, 200, 201, 202, 204]


def every_kind(asha: Signed, ravi: Signed) -> list[Callable[[], Awaitable[httpx.Response]]]:
    """Requests that write: in a batch of transfers, as a bulk, and in sessions of several kinds."""
    items = [{"to": ravi.wallet_id, "amount": 1_00}]
    sign_in: dict[str, Any] = {"email": asha.profile["email"], "password": PASSWORD}
    return [
        lambda: asha.send(ravi.wallet_id, 1_00),
        lambda: asha.post("/transfers/bulk", items=items, pin=PIN),
        lambda: asha.post("/auth/login", **sign_in),
        lambda: asha.post("/accounts", name="Goa"),
        lambda: asha.post("/withdrawals", **BANK_ACCOUNT, amount=1_00, pin=PIN),
        lambda: ravi.post("/auth/logout"),
    ]


def reads(asha: Signed) -> list[Callable[[], Awaitable[httpx.Response]]]:
    """Requests that only read: a standby would answer with what was true a while ago, a revoked session among it."""
    return [lambda: asha.get("/wallet"), lambda: asha.get("/transactions"), lambda: asha.get("/withdrawals")]


def assert_may_come_again(answer: httpx.Response) -> None:
    assert answer.status_code == 503, (answer.request.url, answer.text)
    assert int(answer.headers["retry-after"]) > 0


async def pay_until_done(asha: Signed, ravi: Signed, key: str) -> set[int]:
    statuses: set[int] = set()

    async def is_done() -> bool:
        statuses.add((await asha.send(ravi.wallet_id, 1_00, key=key)).status_code)
        return 201 in statuses

    await eventually_async(is_done, "the transfer is done")
    return statuses
