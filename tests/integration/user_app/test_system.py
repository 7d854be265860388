"""`POST /system/initial-funds`: the platform's own user only."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from shared.models import Owner
from tests.support.apps import API, PASSWORD, RunningApp, Signed, problem

PATH = "/system/initial-funds"


@pytest.fixture
async def platform(user_app: RunningApp) -> Signed:
    """Signed in as the system user."""
    signed = await user_app.person("Batua")
    async with user_app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == signed.id).values(is_system=True))
    body = {"email": signed.profile["email"], "password": PASSWORD}
    answer = await user_app.client.post(f"{API}/auth/login", json=body)
    user_app.client.cookies.clear()
    return Signed(user_app.client, answer.json()["user"], answer.json()["token"])


async def test_the_platform_funds_a_wallet_once_per_key(platform: Signed, ravi: Signed, redis: Redis) -> None:
    answer = await platform.post(PATH, key="gift", to=ravi.wallet_id, amount=500_00, note="hello")
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    assert (receipt["kind"], receipt["amount"], receipt["note"]) == ("funding", 500_00, "hello")
    assert receipt["from"] == {"wallet_id": None, "name": "Batua"}
    assert receipt["to"] == {"wallet_id": ravi.wallet_id, "name": "Ravi Rao"}
    assert receipt["balance_after"] is None
    assert (await platform.get(f"/transfers/{receipt['id']}")).json() == receipt
    assert (await ravi.get(f"/transfers/{receipt['id']}")).json() == {**receipt, "balance_after": 500_00}

    await redis.flushdb()
    again = await platform.post(PATH, key="gift", to=ravi.wallet_id, amount=500_00, note="hello")
    assert (again.json(), again.headers["idempotent-replayed"]) == (receipt, "true")
    assert (await ravi.wallet())["balance"] == 500_00


async def test_other_users_cannot_give_funds_and_learn_nothing(asha: Signed, ravi: Signed) -> None:
    for to in (asha.wallet_id, ravi.wallet_id, "nobody-of-that-name@batua"):
        problem(await asha.post(PATH, to=to, amount=1), 403, "system_user_only")
    assert (await ravi.wallet())["balance"] == 0


async def test_the_platform_too_needs_a_key_and_a_recipient(platform: Signed, ravi: Signed) -> None:
    problem(await platform.post(PATH, key=None, to=ravi.wallet_id, amount=1), 400, "idempotency_key_missing")
    problem(await platform.post(PATH, to="nobody-of-that-name@batua", amount=1), 404, "recipient_not_found")
    problem(await platform.post(PATH, to=ravi.wallet_id, amount=0), 422, "invalid_request")
    problem(await platform.post(PATH, to=ravi.wallet_id, amount=1, pin="1234"), 422, "invalid_request")
