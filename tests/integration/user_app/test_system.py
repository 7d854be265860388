"""`POST /system/initial-funds`: the platform's own user only, with a PIN, within a cap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from shared.config import MovementLimits
from shared.ledger import system_accounts
from shared.models import Account, Owner
from tests.support.apps import API, PASSWORD, PIN, RunningApp, Signed, problem, running, user_app_settings

PATH = "/system/initial-funds"
CAPPED = MovementLimits(funding_per_movement_paise=400_00, funding_per_day_paise=1000_00)


async def _platform(user_app: RunningApp) -> Signed:
    signed = await user_app.person("Platform")
    async with user_app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == signed.id).values(is_system=True))
        # Its count is of all tests on this database.
        await session.execute(update(Account).where(Account.id == system_accounts.FUNDING).values(sent_today=0))
    body = {"email": signed.profile["email"], "password": PASSWORD}
    answer = await user_app.client.post(f"{API}/auth/login", json=body)
    user_app.client.cookies.clear()
    return Signed(user_app.client, answer.json()["user"], answer.json()["token"])


@pytest.fixture
async def platform(user_app: RunningApp) -> Signed:
    """Signed in as the system user."""
    return await _platform(user_app)


@pytest.fixture
async def capped(database_url: str, redis_url: str) -> AsyncIterator[RunningApp]:
    """user_app with a cap low enough to reach."""
    async with running(user_app_settings(database_url, redis_url, limits=CAPPED)) as app:
        yield app


async def give(platform: Signed, to: Signed, amount: int, **more: Any) -> httpx.Response:
    return await platform.post(PATH, **{"to": to.wallet_id, "amount": amount, "pin": PIN, **more})


async def test_the_platform_funds_a_wallet_once_per_key(platform: Signed, ravi: Signed, redis: Redis) -> None:
    answer = await give(platform, ravi, 500_00, key="gift", note="hello")
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    assert (receipt["kind"], receipt["amount"], receipt["note"]) == ("funding", 500_00, "hello")
    assert receipt["from"] == {"wallet_id": None, "name": "Batua"}
    assert receipt["to"] == {"wallet_id": ravi.wallet_id, "name": "Ravi Rao"}
    assert receipt["balance_after"] is None
    assert (await platform.get(f"/transfers/{receipt['id']}")).json() == receipt
    assert (await ravi.get(f"/transfers/{receipt['id']}")).json() == {**receipt, "balance_after": 500_00}

    await redis.flushdb()
    again = await give(platform, ravi, 500_00, key="gift", note="hello")
    assert (again.json(), again.headers["idempotent-replayed"]) == (receipt, "true")
    assert (await ravi.wallet())["balance"] == 500_00


async def test_other_users_cannot_give_funds_and_learn_nothing(asha: Signed, ravi: Signed) -> None:
    for to in (asha.wallet_id, ravi.wallet_id, "nobody-of-that-name@batua"):
        problem(await asha.post(PATH, to=to, amount=1, pin=PIN), 403, "system_user_only")
    for _ in range(6):
        problem(await asha.post(PATH, to=ravi.wallet_id, amount=1, pin="9999"), 403, "system_user_only")
    assert (await asha.post("/auth/pin", key=None, pin=PIN)).status_code == 200  # no wrong PIN was counted
    assert (await ravi.wallet())["balance"] == 0


async def test_the_platform_too_needs_a_key_and_a_recipient(platform: Signed, ravi: Signed) -> None:
    problem(await give(platform, ravi, 1, key=None), 400, "idempotency_key_missing")
    problem(await platform.post(PATH, to="nobody-of-that-name@batua", amount=1, pin=PIN), 404, "recipient_not_found")
    problem(await give(platform, ravi, 0), 422, "invalid_request")


async def test_the_platform_needs_its_pin(platform: Signed, ravi: Signed) -> None:
    missing = problem(await platform.post(PATH, to=ravi.wallet_id, amount=1), 422, "invalid_request")
    assert [each["field"] for each in missing["errors"]] == ["pin"]
    assert problem(await give(platform, ravi, 1, pin="9999"), 403, "pin_incorrect")["attempts_left"] == 4
    token = (await platform.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"]
    with_token: dict[str, Any] = {"to": ravi.wallet_id, "amount": 1_00}
    forged = await platform.post(PATH, headers={"X-Pin-Token": f"{token}x"}, **with_token)
    problem(forged, 403, "pin_token_invalid")
    given = await platform.post(PATH, headers={"X-Pin-Token": token}, **with_token)
    assert given.status_code == 201, given.text
    for _ in range(4):
        problem(await give(platform, ravi, 1, pin="9999"), 403, "pin_incorrect")
    problem(await give(platform, ravi, 1), 423, "pin_locked")
    assert (await ravi.wallet())["balance"] == 1_00


async def test_what_is_given_at_once_and_in_a_day_is_capped(capped: RunningApp) -> None:
    platform, ravi = await _platform(capped), await capped.person("Ravi")
    at_once = problem(await give(platform, ravi, 400_01), 422, "limit_exceeded")
    assert (at_once["limit"], at_once["maximum"]) == ("funding_per_movement", 400_00)
    first = await give(platform, ravi, 400_00, key="first")
    assert first.status_code == 201, first.text
    assert (await give(platform, ravi, 400_00)).status_code == 201
    over = problem(await give(platform, ravi, 200_01), 422, "limit_exceeded")
    assert (over["limit"], over["used"], over["remaining"]) == ("funding_per_day", 800_00, 200_00)
    assert over["resets_at"]
    assert (await give(platform, ravi, 200_00)).status_code == 201
    again = await give(platform, ravi, 400_00, key="first")  # a repeat is answered, whatever is left
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert (await ravi.wallet())["balance"] == 1000_00


async def test_requests_at_once_do_not_pass_the_cap_together(capped: RunningApp) -> None:
    platform, other, ravi = await _platform(capped), await _platform(capped), await capped.person("Ravi")
    answers = await asyncio.gather(*(give(each, ravi, 300_00) for each in (platform, other) * 4))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(422)) == (3, 5), statuses
    assert (await ravi.wallet())["balance"] == 900_00
