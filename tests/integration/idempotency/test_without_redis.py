"""Redis takes no part in which request is repeated: neither what it holds nor its absence changes an answer."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from shared.http.keyed_requests import SEND_MONEY
from tests.support.apps import Signed, problem, running, user_app_settings


@pytest.mark.parametrize("answer", [None, {"status": 201, "body": {"id": "forged"}}])
async def test_a_forged_value_in_redis_decides_nothing(
    asha: Signed, ravi: Signed, redis: Redis, answer: dict[str, object] | None
) -> None:
    claim = SEND_MONEY.request(asha.id, "k").claim(to=ravi.wallet_id, amount=100, note=None, from_account=None)
    for fingerprint in (claim.fingerprint, "another"):
        value = {"fingerprint": fingerprint, "field_hashes": dict(claim.field_hashes), "answer": answer}
        await redis.set(f"idem:{asha.id}:k", json.dumps(value))
        sent = await asha.send(ravi.wallet_id, 100, key="k")
        assert sent.status_code == 201
        assert sent.json()["amount"] == 100
    assert (await ravi.wallet())["balance"] == 100


async def test_without_redis_a_key_moves_money_once(database_url: str) -> None:
    async with running(user_app_settings(database_url, "redis://127.0.0.1:1/0")) as app:
        asha, ravi = await app.person("Asha", balance=1000), await app.person("Ravi")
        first = await asha.send(ravi.wallet_id, 100, key="k")
        again = await asha.send(ravi.wallet_id, 100, key="k")
        problem(await asha.send(ravi.wallet_id, 101, key="k"), 422, "idempotency_key_reused")
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert again.headers["idempotent-replayed"] == "true"
        assert (await ravi.wallet())["balance"] == 100
