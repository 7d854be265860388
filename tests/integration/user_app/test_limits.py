"""Limits per movement and per day: shown beforehand, and kept when requests come at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from shared import clock
from shared.config import MovementLimits
from tests.support.apps import PIN, RunningApp, Signed, problem, running, user_app_settings

pytestmark = pytest.mark.usefixtures("midday")

LIMITS = MovementLimits(
    transfer_per_movement_paise=300_00,
    transfer_per_day_paise=500_00,
    withdrawal_per_movement_paise=200_00,
    withdrawal_per_day_paise=250_00,
)
BANK: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """user_app with limits low enough to reach."""
    async with running(user_app_settings(database_url, redis_url, limits=LIMITS)) as app:
        yield app


async def test_one_movement_has_a_limit(asha: Signed, ravi: Signed) -> None:
    refused = problem(await asha.send(ravi.wallet_id, 300_01), 422, "limit_exceeded")
    assert (refused["limit"], refused["maximum"], refused["remaining"]) == ("transfer_per_movement", 300_00, 300_00)
    assert refused["resets_at"] is None
    assert (await asha.send(ravi.wallet_id, 300_00)).status_code == 201


async def test_a_day_has_a_limit_and_the_next_one_begins_anew(asha: Signed, ravi: Signed, shop: Signed) -> None:
    await asha.send(ravi.wallet_id, 300_00)
    await asha.send(shop.wallet_id, 150_00)
    refused = problem(await asha.send(ravi.wallet_id, 50_01), 422, "limit_exceeded")
    assert (refused["limit"], refused["used"], refused["remaining"]) == ("transfer_per_day", 450_00, 50_00)
    assert refused["resets_at"].endswith("T18:30:00Z")
    tomorrow = clock.now() + timedelta(days=1)
    with clock.reading(lambda: tomorrow):
        assert (await asha.send(ravi.wallet_id, 300_00)).status_code == 201


async def test_transfers_between_own_accounts_and_money_received_do_not_count(asha: Signed, ravi: Signed) -> None:
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    assert (await asha.send(pot, 600_00)).status_code == 201
    assert (await asha.send(asha.wallet_id, 600_00, from_account=pot)).status_code == 201
    await ravi.send(asha.wallet_id, 1)
    assert (await asha.get("/limits")).json()["transfer"]["used"] == 0


async def test_a_refused_or_repeated_request_uses_nothing_up(asha: Signed, ravi: Signed) -> None:
    for _ in range(2):
        await asha.send(ravi.wallet_id, 200_00, key="same")
    problem(await ravi.send(asha.wallet_id, 250_00), 402, "insufficient_funds")
    assert (await asha.get("/limits")).json()["transfer"]["used"] == 200_00
    assert (await ravi.get("/limits")).json()["transfer"]["used"] == 0


async def test_the_preview_names_the_limit_that_binds(asha: Signed, ravi: Signed) -> None:
    fresh = (await asha.get("/limits", amount=250_00)).json()
    assert (fresh["amount"], fresh["timezone"], fresh["resets_at"][-10:]) == (
        250_00,
        "Asia/Kolkata",
        "T18:30:00Z"[-10:],
    )
    assert (fresh["transfer"]["allowed"], fresh["transfer"]["binding"]) == (True, None)
    assert (fresh["withdrawal"]["allowed"], fresh["withdrawal"]["binding"]) == (False, "withdrawal_per_movement")
    await asha.send(ravi.wallet_id, 300_00)
    await asha.post("/withdrawals", **BANK, amount=200_00, pin=PIN)
    later = (await asha.get("/limits")).json()
    assert later["transfer"] == {
        "per_movement": 300_00,
        "per_day": 500_00,
        "used": 300_00,
        "remaining": 200_00,
        "most": 200_00,
        "allowed": None,
        "binding": "transfer_per_day",
    }
    assert (later["withdrawal"]["used"], later["withdrawal"]["most"]) == (200_00, 50_00)
    refused = problem(await asha.post("/withdrawals", **BANK, amount=50_01, pin=PIN), 422, "limit_exceeded")
    assert refused["limit"] == "withdrawal_per_day"
    problem(await asha.get("/limits", amount=0), 422, "invalid_request")


async def test_requests_at_once_from_a_wallet_and_its_pots_never_pass_the_limit_together(
    user_app: RunningApp, asha: Signed, ravi: Signed, database_url: str, redis_url: str
) -> None:
    pots = [(await asha.post("/accounts", key=None, name=name)).json()["id"] for name in ("Goa", "Rent")]
    for pot in pots:
        await asha.send(pot, 300_00)
    async with running(user_app_settings(database_url, redis_url, limits=LIMITS)) as second:
        elsewhere = Signed(second.client, asha.profile, asha.token)
        storm: list[asyncio.Task[httpx.Response]] = []
        for number in range(30):
            source = [None, *pots][number % 3]
            side = asha if number % 2 else elsewhere
            more = {} if source is None else {"from_account": source}
            storm.append(asyncio.create_task(side.send(ravi.wallet_id, 70_00, **more)))
        answers = await asyncio.gather(*storm)
    assert Counter(answer.status_code for answer in answers if answer.status_code == 201) == {201: 7}
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {
        "limit_exceeded",
        "insufficient_funds",
    }
    assert (await ravi.wallet())["balance"] == 490_00
    assert (await asha.get("/limits")).json()["transfer"]["used"] == 490_00
