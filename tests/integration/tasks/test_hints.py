"""A hint reaches the queue when Redis is there; without Redis its caller is not held up."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from redis.asyncio import Redis

from shared.ids import new_id
from shared.tasks import hints as hints_module
from shared.tasks.hints import MAX_PENDING, Hints
from shared.tasks.names import ADVANCE_WITHDRAWALS, QUEUE
from tests.support.deadlines import deadline


@pytest.fixture
def hints(redis_url: str) -> Iterator[Hints]:
    hints = Hints(redis_url, timeout_seconds=deadline())
    yield hints
    hints.close()


@pytest.fixture
def silent_redis() -> Iterator[str]:
    """Accepts connections and never answers, like a stopped server."""
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


async def test_a_redis_that_is_gone_is_tried_once_and_raises_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "COOL_DOWN_SECONDS", 3600.0)
    hints = Hints("redis://127.0.0.1:1/0")
    async with asyncio.timeout(deadline()):
        await hints.withdrawal(new_id())
    hints.close()
    assert not hints.send(new_id())
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) <= 1


def test_a_redis_that_is_gone_costs_no_file_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints_module, "COOL_DOWN_SECONDS", 0.0)
    hints = Hints("redis://127.0.0.1:1/0")
    gc.collect()
    gc.disable()  # as in a process where it comes seldom
    try:
        hints.send(new_id())
        before = psutil.Process().num_fds()
        for _ in range(5):
            assert not hints.send(new_id())
        assert psutil.Process().num_fds() == before
    finally:
        gc.enable()
    hints.close()


async def test_a_redis_that_never_answers_is_not_waited_for(silent_redis: str) -> None:
    hints = Hints(silent_redis)
    async with asyncio.timeout(deadline()):
        await hints.withdrawal(new_id())
    hints.close()


async def test_callers_do_not_pile_up_behind_a_slow_redis(silent_redis: str) -> None:
    hints = Hints(silent_redis, timeout_seconds=0.01)
    async with asyncio.timeout(deadline()):
        for _ in range(MAX_PENDING + 20):
            await hints.withdrawal(new_id())
    hints.close()
