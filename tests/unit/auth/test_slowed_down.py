"""The limits themselves, in the memory of one process: nothing listens where Redis should be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from limits import parse
from pydantic import SecretStr

from shared.auth import counts
from shared.auth.counts import CountsInMemory
from shared.auth.errors import TooManyAttempts
from shared.auth.throttle import Attempt, SignInThrottle
from shared.config import RateLimits
from shared.redis.client import open_redis
from shared.redis.settings import RedisSettings

RULES = RateLimits(
    login_per_email="10/15minutes", login_per_email_everywhere="40/15minutes", login_per_address="100/15minutes"
)


class Time:
    """Seconds since 1970, as the test lets them pass."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
async def throttle() -> AsyncIterator[SignInThrottle]:
    async with open_redis(RedisSettings(redis_url=SecretStr("redis://127.0.0.1:1/0"))) as redis:
        yield SignInThrottle(RULES, redis, audience="user_app")


async def passes(throttle: SignInThrottle, attempt: Attempt) -> bool:
    """Try a wrong password."""
    try:
        await throttle.check(attempt)
        await throttle.begin(attempt)
    except TooManyAttempts:
        return False
    await throttle.count_failure(attempt)
    return True


async def test_after_many_failures_one_more_passes_in_each_pause(throttle: SignInThrottle, passing: Time) -> None:
    attempt = throttle.by_stranger("asha@example.com", "192.0.2.1")
    assert [await passes(throttle, attempt) for _ in range(13)] == [True] * 10 + [False] * 3
    for _ in range(5):
        passing.now += 91  # 15 minutes for 10
        assert [await passes(throttle, attempt) for _ in range(3)] == [True, False, False]
    passing.now += 900
    assert [await passes(throttle, attempt) for _ in range(11)] == [True] * 10 + [False]


async def test_the_right_password_passes_once_in_a_pause_too(throttle: SignInThrottle, passing: Time) -> None:
    attempt = throttle.by_stranger("asha@example.com", "192.0.2.1")
    assert [await passes(throttle, attempt) for _ in range(10)] == [True] * 10
    passing.now += 91
    await throttle.check(attempt)  # looking takes no turn
    await throttle.begin(attempt)
    with pytest.raises(TooManyAttempts):
        await throttle.begin(attempt)


async def test_of_an_email_that_a_crowd_tries_each_address_has_few(throttle: SignInThrottle, passing: Time) -> None:
    for number in range(10):
        attempt = throttle.by_stranger("asha@example.com", f"192.0.2.{number}")
        tried = [await passes(throttle, attempt) for _ in range(5)]
        assert tried == ([True] * 5 if number < 8 else [True, True, False, False, False])
    other = throttle.by_stranger("ravi@example.com", "192.0.2.9")
    assert [await passes(throttle, other) for _ in range(5)] == [True] * 5


async def test_memory_holds_so_many_counters_and_no_more(passing: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "MAX_COUNTERS", 100)
    kept, item = CountsInMemory(), parse("10/minute")
    for number in range(250):
        kept.add(item, f"{number}")
    assert len(kept) == 100
    assert [kept.read(item, name).number for name in ("149", "150", "249")] == [0, 1, 1]
    assert [kept.add(item, "249").number for _ in range(3)] == [2, 3, 4]
    passing.now += 61
    kept.add(item, "new")
    assert len(kept) == 1
