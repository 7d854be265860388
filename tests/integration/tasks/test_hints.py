"""A hint reaches the queue when Redis is there, and costs next to nothing when it is not."""

from __future__ import annotations

import json
import logging
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.ids import new_id
from shared.tasks.hints import MAX_PENDING, Hints
from shared.tasks.names import ADVANCE_WITHDRAWALS, QUEUE

PATIENT_SECONDS = 5.0


@pytest.fixture
def hints(redis_url: str) -> Iterator[Hints]:
    hints = Hints(redis_url, timeout_seconds=PATIENT_SECONDS)
    yield hints
    hints.close()


@pytest.fixture
def silent_redis() -> Iterator[str]:
    """Takes connections and never says a word, like a stopped server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


async def first_message(redis: Redis) -> Any:
    message = await redis.lindex(QUEUE, 0)
    assert message is not None
    return json.loads(message)


async def test_a_hint_is_one_message_that_names_the_owner_and_goes_stale(redis: Redis, hints: Hints) -> None:
    owner = new_id()
    await hints.withdrawal(owner)
    assert await redis.llen(QUEUE) == 1
    message = await first_message(redis)
    arguments, _, _ = json.loads(b64decode(message["body"]))
    assert (message["headers"]["task"], arguments) == (ADVANCE_WITHDRAWALS, [str(owner)])
    assert message["headers"]["expires"] is not None
    assert message["headers"]["eta"] is None


async def test_a_delayed_hint_says_when(redis: Redis, hints: Hints) -> None:
    assert hints.send(new_id(), delay_seconds=5)
    message = await first_message(redis)
    assert message["headers"]["eta"] is not None


async def test_a_redis_that_is_gone_costs_a_moment_once_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    hints = Hints("redis://127.0.0.1:1/0")
    started = time.monotonic()
    await hints.withdrawal(new_id())
    assert time.monotonic() - started < 0.5
    hints.close()
    assert not hints.send(new_id())
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) <= 1


async def test_a_redis_that_says_nothing_costs_a_moment_too(silent_redis: str) -> None:
    hints = Hints(silent_redis)
    started = time.monotonic()
    await hints.withdrawal(new_id())
    assert time.monotonic() - started < 0.5
    hints.close()


async def test_callers_do_not_pile_up_behind_a_slow_redis(silent_redis: str) -> None:
    hints = Hints(silent_redis, timeout_seconds=0.01)
    started = time.monotonic()
    for _ in range(MAX_PENDING + 20):
        await hints.withdrawal(new_id())
    assert time.monotonic() - started < PATIENT_SECONDS
    hints.close()
