"""Counts that processes share through Redis: whatever is there, nothing that a process counted is forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.ids import new_id
from shared.quotas import sharing
from shared.quotas.counts import DAY_SECONDS, Counts, Quota
from shared.quotas.errors import TooManyKeys
from shared.quotas.sharing import KEY_PREFIX, Sharing, open_sharing
from tests.support.waiting import eventually_async, until_far_from_midnight

_FORGED = st.binary(max_size=32) | st.sampled_from([b"-99", b"1e9", b"0x7f", b"nan", b"inf", b" 7", b"9" * 40])


class Process:
    """One of several that share."""

    def __init__(self, redis: Redis) -> None:
        self.counts = Counts()
        self.quota = Quota(self.counts, "keys", 10, DAY_SECONDS, TooManyKeys)
        self.sharing = Sharing(self.counts, redis)


async def test_two_processes_know_what_the_other_counted_and_the_count_expires(redis: Redis) -> None:
    until_far_from_midnight()
    here, there, asha = Process(redis), Process(redis), new_id()
    here.quota.count(asha, 4)
    there.quota.count(asha, 3)
    for process in (here, there, here):
        process.quota.count(asha)
        await process.sharing.share()
    assert [each.counts.used(("keys", asha), DAY_SECONDS) for each in (here, there)] == [10, 9]
    (key,) = [key async for key in redis.scan_iter(f"{KEY_PREFIX}*")]
    assert 0 < await redis.ttl(key) <= DAY_SECONDS + 1
    await redis.flushdb()
    for process in (here, there):
        process.quota.count(asha)
        await process.sharing.share()
    assert [each.counts.used(("keys", asha), DAY_SECONDS) for each in (here, there)] == [11, 12]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_FORGED, fields=st.dictionaries(st.binary(max_size=4), _FORGED, max_size=4), is_hash=st.booleans())
async def test_no_value_in_redis_resets_a_count(
    value: bytes, fields: dict[bytes, bytes], is_hash: bool, redis: Redis
) -> None:
    await redis.flushdb()
    process, asha = Process(redis), new_id()
    process.quota.count(asha, 4)
    await process.sharing.share()
    (key,) = [key async for key in redis.scan_iter(f"{KEY_PREFIX}*")]
    await redis.delete(key)
    forged: dict[Any, Any] = dict(fields)
    if is_hash and forged:
        await redis.hset(key, mapping=forged)
    else:
        await redis.set(key, value)
    process.quota.count(asha)
    await process.sharing.share()
    said = [int(each) for each in fields.values() if each.isdigit() and len(each) < 13] if is_hash else []
    assert process.counts.used(("keys", asha), DAY_SECONDS) == 5 + sum(said)


async def test_without_redis_each_process_counts_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sharing, "SHARE_SECONDS", 0.01)
    async with Redis.from_url("redis://127.0.0.1:1/0") as redis:
        process, asha = Process(redis), new_id()
        async with open_sharing(process.counts, redis):
            for number in range(1, 4):
                process.quota.count(asha)
                await eventually_async(lambda: asyncio.sleep(0, not process.counts.has_news), "it was tried")
                assert process.counts.used(("keys", asha), DAY_SECONDS) == number
    assert len(caplog.messages) == 1
