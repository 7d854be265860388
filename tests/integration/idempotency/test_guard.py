from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from redis.asyncio import Redis

from shared.idempotency.claims import Answer, Claim, claim_for
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.idempotency.guard import DuplicateGuard

OWNER = UUID(int=7)


def claim(amount: int = 1) -> Claim:
    return claim_for(OWNER, "key", method="POST", route="/transfers", body={"amount": amount})


async def answered() -> Answer:
    return Answer(201, {"id": "x"})


async def test_the_work_runs_once_and_its_answer_is_replayed(redis: Redis) -> None:
    guard = DuplicateGuard(redis)
    assert await guard.run(claim(), answered) == Answer(201, {"id": "x"})

    async def must_not_run() -> Answer:
        raise AssertionError

    assert await guard.run(claim(), must_not_run) == Answer(201, {"id": "x"}, is_replayed=True)
    with pytest.raises(IdempotencyKeyReused) as reuse:
        await guard.run(claim(2), must_not_run)
    assert reuse.value.fields == ["amount"]
    assert 23 * 3600 < await redis.ttl(f"idem:{OWNER}:key") <= 24 * 3600


async def test_a_copy_of_a_request_in_flight_is_rejected(redis: Redis) -> None:
    guard, inside, go_on = DuplicateGuard(redis), asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        inside.set()
        await go_on.wait()
        return await answered()

    first = asyncio.create_task(guard.run(claim(), slow))
    await inside.wait()
    with pytest.raises(RequestInFlight):
        await guard.run(claim(), answered)
    assert 0 < await redis.ttl(f"idem:{OWNER}:key") <= 30
    go_on.set()
    assert not (await first).is_replayed


async def test_a_rejected_request_frees_the_key(redis: Redis) -> None:
    guard = DuplicateGuard(redis)

    async def refuse() -> Answer:
        raise RequestInFlight

    with pytest.raises(RequestInFlight):
        await guard.run(claim(), refuse)
    assert not (await guard.run(claim(), answered)).is_replayed


async def test_without_redis_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    away = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    assert await DuplicateGuard(away).run(claim(), answered) == Answer(201, {"id": "x"})
    assert "Postgres decides alone" in caplog.text
    await away.aclose()
