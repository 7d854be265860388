"""Counts that processes share through Redis: whatever is there, a process forgets nothing that it counted."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared import clock
from shared.ids import new_id
from shared.quotas import sharing
from shared.quotas.counts import DAY_SECONDS, Counts, Quota
from shared.quotas.errors import TooManyKeys
from shared.quotas.sharing import KEY_PREFIX, Sharing, open_sharing
from tests.support.waiting import eventually_async

_FORGED = st.binary(max_size=32) | st.sampled_from([b"-99", b"1e9", b"9" * 40])
_NEVER = [None, 2 * DAY_SECONDS * 1000 + 60_000, 10**15]
"""Milliseconds after which no key of ours expires."""


class Process:
    """One of several that share."""

    def __init__(self, redis: Redis) -> None:
        self.counts = Counts()
        self.quota = Quota(self.counts, "keys", 10, DAY_SECONDS, TooManyKeys)
        self.sharing = Sharing(self.counts, redis)

    def do(self, owner: UUID, times: int = 1) -> None:
        for _ in range(times):
            place = self.quota.take(owner)
            assert place is not None
            place.keep()

    def room(self, owner: UUID) -> int:
        """How many places are free."""
        places = []
        while (place := self.quota.take(owner)) is not None:
            places.append(place)
        for place in places:
            place.give_back()
        return len(places)


async def only_key(redis: Redis) -> Any:
    (key,) = [key async for key in redis.scan_iter(f"{KEY_PREFIX}*")]
    return key


async def test_two_processes_know_what_the_other_counted_and_the_count_expires(redis: Redis) -> None:
    here, there, asha, moment = Process(redis), Process(redis), new_id(), clock.now()
    with clock.reading(lambda: moment):
        here.do(asha, 2)
        there.do(asha, 2)
        for process in (here, there, here):
            process.do(asha)
            await process.sharing.share()
        assert [each.room(asha) for each in (here, there)] == [3, 4]
        key = await only_key(redis)
        assert 6.9 * DAY_SECONDS / 10 < await redis.ttl(key) <= 7 * DAY_SECONDS / 10
        await redis.flushdb()
        for process in (here, there):
            process.do(asha)
            await process.sharing.share()
        assert [each.room(asha) for each in (here, there)] == [2, 1]


async def test_what_processes_allowed_at_once_is_waited_for(redis: Redis) -> None:
    processes, asha, moment = [Process(redis) for _ in range(3)], new_id(), clock.now()
    with clock.reading(lambda: moment):
        for process in processes:
            process.do(asha, 10)
            await process.sharing.share()
        waits = [process.quota.refusal(asha).retry_after_seconds or 0 for process in processes]
    a_place = DAY_SECONDS / 10
    assert [round(wait / a_place, 1) for wait in waits] == [1.0, 11.0, 11.0]  # not for more than two days
    assert 1.9 * DAY_SECONDS < await redis.ttl(await only_key(redis)) <= 2 * DAY_SECONDS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=_FORGED,
    fields=st.dictionaries(st.binary(max_size=4), _FORGED, max_size=4),
    expires_in=st.sampled_from(_NEVER),
)
async def test_a_damaged_key_counts_as_absent_and_resets_nothing(
    value: bytes, fields: dict[bytes, bytes], expires_in: int | None, redis: Redis
) -> None:
    await redis.flushdb()
    process, asha, moment = Process(redis), new_id(), clock.now()
    with clock.reading(lambda: moment):
        process.do(asha, 4)
        await process.sharing.share()
        key = await only_key(redis)
        await redis.delete(key)
        forged: dict[Any, Any] = dict(fields)
        await (redis.hset(key, mapping=forged) if forged else redis.set(key, value))
        if expires_in is not None:
            await redis.pexpire(key, expires_in)
        process.do(asha)
        await process.sharing.share()
        assert process.room(asha) == 5
    assert 0 < await redis.ttl(key) <= DAY_SECONDS / 2


async def test_without_redis_each_process_counts_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sharing, "SHARE_SECONDS", 0.01)
    async with Redis.from_url("redis://127.0.0.1:1/0") as redis:
        process, asha = Process(redis), new_id()
        async with open_sharing(process.counts, redis):
            for number in range(1, 4):
                process.do(asha)
                await eventually_async(lambda: asyncio.sleep(0, not process.counts.has_news), "it was tried")
                assert process.room(asha) == 10 - number
    assert len(caplog.messages) == 1
