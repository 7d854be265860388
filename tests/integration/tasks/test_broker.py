"""What Redis holds for the broker is bounded, and no value in it can stop a worker or make it do anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu import Consumer, Message, Queue
from redis import Redis
from redis.exceptions import RedisError

from shared.ids import new_id
from shared.tasks import broker
from shared.tasks.application import create_celery
from shared.tasks.hints import Hints
from shared.tasks.names import ADVANCE_WITHDRAWALS, QUEUE
from tests.support.deadlines import deadline
from tests.support.redis_servers import redis_server_at

UNACKED, INDEX = "unacked", "unacked_index"
_WORDS = ["body", "headers", "properties", "delivery_tag", "delivery_info", "body_encoding", "base64", "exchange"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=8),
    max_leaves=12,
)
_DAMAGED = st.binary(max_size=64) | _JSON.map(lambda value: json.dumps(value).encode())


@pytest.fixture
def server(redis_url: str) -> Iterator[Redis]:
    """The broker, empty."""
    with Redis.from_url(redis_url) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def hints(redis_url: str) -> Iterator[Hints]:
    hints = Hints(redis_url, timeout_seconds=deadline())
    yield hints
    hints.close()


def take_until_hinted(redis_url: str) -> list[str]:
    """The tasks that a worker is handed until it has our hint, after it has looked for what others lost."""
    taken: list[str] = []

    def handle(message: Message) -> None:
        taken.append(message.headers["task"])
        message.ack()

    celery = create_celery(redis_url, "test", socket_timeout_seconds=deadline())
    with celery.connection_for_read() as connection, connection.channel() as channel:
        channel.qos.restore_visible(interval=1)
        with Consumer(channel, Queue(QUEUE), on_message=handle):
            while ADVANCE_WITHDRAWALS not in taken:
                connection.drain_events(timeout=deadline(10))
    celery.close()
    return taken


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(_DAMAGED, min_size=1, max_size=5))
def test_no_value_in_redis_stops_a_worker(values: list[bytes], server: Redis, redis_url: str, hints: Hints) -> None:
    server.flushdb()
    server.lpush(QUEUE, *values)
    lost: dict[Any, Any] = {f"{number}": value for number, value in enumerate(values)}
    server.hset(UNACKED, mapping=lost)
    server.zadd(INDEX, dict.fromkeys(lost, 1.0))
    assert hints.send(new_id())
    assert take_until_hinted(redis_url) == [ADVANCE_WITHDRAWALS]
    assert server.exists(QUEUE, UNACKED, INDEX) == 0


@pytest.mark.parametrize("key", [QUEUE, UNACKED, INDEX])
def test_a_key_of_another_type_counts_as_absent(key: str, server: Redis, redis_url: str, hints: Hints) -> None:
    server.set(key, b"\x00\xff")
    assert hints.send(new_id())
    assert hints.send(new_id())  # the message that meets the damage may be lost
    assert take_until_hinted(redis_url) == [ADVANCE_WITHDRAWALS]
    assert server.type(key) != b"string"


def test_messages_that_no_worker_takes_stay_few_and_expire(
    server: Redis, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "MAX_QUEUED", 3)
    owners = [new_id() for _ in range(5)]
    assert all(hints.send(owner) for owner in owners)
    assert server.llen(QUEUE) == 3
    assert 0 < server.ttl(QUEUE) <= broker.QUEUE_KEPT_SECONDS


def test_a_full_broker_refuses_a_hint_and_raises_nothing(tmp_path: Path, free_port_base: Callable[[], int]) -> None:
    with redis_server_at(tmp_path, free_port_base()) as own:
        own.start()
        hints = Hints(own.url, timeout_seconds=deadline())
        assert hints.send(new_id())
        with Redis.from_url(own.url) as server:
            server.config_set("maxmemory", 1)
            with pytest.raises(RedisError):
                server.set("x", "y")
        assert not hints.send(new_id())
        hints.close()
