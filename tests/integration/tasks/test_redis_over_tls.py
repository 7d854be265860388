"""`rediss://`: what services open, and the broker's clients, reach Redis over TLS, and no one who pretends to be it.

The Redis that tests run with is built without TLS, so TLS is ended in front of it. Where the machine has a redis-server
that speaks TLS itself, as that of Debian does, everything is tried with that one too.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from kombu import Consumer, Message, Queue, pools
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from shared.ids import new_id
from shared.redis.client import REDIS_ERRORS, open_redis
from shared.redis.settings import RedisSettings
from shared.tasks.application import create_celery
from shared.tasks.hints import Hints
from shared.tasks.names import ADVANCE_WITHDRAWALS, QUEUE
from tests.support.deadlines import deadline
from tests.support.needed import needed_program
from tests.support.networks import wire_to
from tests.support.tls import certificate_for
from tests.support.waiting import eventually_async

NAME, OTHER_NAME = "localhost", "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """A Redis that speaks TLS only. Its certificate is for NAME, signed by itself, in this file."""

    port: int
    certificate: Path

    def url(self, host: str = NAME, scheme: str = "rediss") -> str:
        """Its address by this name."""
        return f"{scheme}://{host}:{self.port}/0"


@pytest.fixture(scope="module")
def free_port(free_port_base: Callable[[], int]) -> int:
    """For a server of these tests, one after the other."""
    return free_port_base()


@pytest.fixture(params=["in front", "by itself"])
async def server(
    request: pytest.FixtureRequest, redis_url: str, redis: Redis, tmp_path: Path, free_port: int
) -> AsyncIterator[Server]:
    """The tests' Redis behind one that ends TLS; and a Redis that speaks TLS itself."""
    made = certificate_for(NAME, tmp_path)
    if request.param == "in front":
        address = make_url(redis_url)
        async with wire_to(address.host or "", address.port or 0, tls=made.server_context) as front:
            yield Server(front.port, made.certificate)
    else:
        options = ["--tls-cert-file", str(made.certificate), "--tls-key-file", str(made.key), "--dir", str(tmp_path)]
        async with _redis_server(free_port, options) as port:
            yield Server(port, made.certificate)


@asynccontextmanager
async def _redis_server(port: int, options: list[str]) -> AsyncIterator[int]:
    program = needed_program("redis-server", "redis-server")
    command = [program, "--port", "0", "--bind", "127.0.0.1", "--tls-port", str(port), "--tls-auth-clients", "no"]
    process = await asyncio.create_subprocess_exec(*command, "--save", "", *options, stdout=subprocess.DEVNULL)
    try:
        await eventually_async(lambda: _listens(port), "the redis-server listens")
        yield port
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.fixture
def known(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, whose certificate is one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    return server


async def failure_at(url: str) -> BaseException | None:
    """Why a service cannot use this Redis; None if it can."""
    settings = RedisSettings(redis_url=SecretStr(url), redis_timeout_seconds=deadline())
    async with open_redis(settings) as redis:
        try:
            await redis.set("tls", "here", ex=60)
            assert await redis.get("tls") == b"here"
        except REDIS_ERRORS as error:
            return error
    return None


def hinted(url: str) -> bool:
    """Whether a hint was sent to the broker at this address."""
    pools.reset()  # connections of earlier tests are kept by host and port
    hints = Hints(url, timeout_seconds=deadline())
    try:
        return hints.send(new_id())
    finally:
        hints.close()


def first_task(url: str) -> str:
    """The name of the task that a worker is handed by the broker at this address."""
    taken: list[str] = []

    def handle(message: Message) -> None:
        taken.append(message.headers["task"])
        message.ack()

    celery = create_celery(url, "test", socket_timeout_seconds=deadline())
    with (
        celery.connection_for_read() as connection,
        connection.channel() as channel,
        Consumer(channel, Queue(QUEUE), on_message=handle),
    ):
        connection.drain_events(timeout=deadline())
    celery.close()
    return taken[0]


async def test_services_reach_a_server_that_the_system_knows(known: Server) -> None:
    assert await failure_at(known.url()) is None


async def test_messages_go_to_a_broker_that_the_system_knows_and_come_back(known: Server) -> None:
    assert await asyncio.to_thread(hinted, known.url())
    assert await asyncio.to_thread(first_task, known.url()) == ADVANCE_WITHDRAWALS


async def test_another_name_is_refused(known: Server) -> None:
    assert "certificate" in str(await failure_at(known.url(OTHER_NAME)))
    assert not await asyncio.to_thread(hinted, known.url(OTHER_NAME))


async def test_an_unknown_signer_is_refused(server: Server) -> None:
    assert "certificate" in str(await failure_at(server.url()))
    assert not await asyncio.to_thread(hinted, server.url())


async def test_it_is_not_reached_in_plain_text(known: Server) -> None:
    assert await failure_at(known.url(scheme="redis")) is not None
    assert not await asyncio.to_thread(hinted, known.url(scheme="redis"))


async def test_the_address_may_name_the_signer_of_a_private_network(server: Server) -> None:
    signed = f"{server.url()}?ssl_ca_certs={server.certificate}"
    assert await failure_at(signed) is None
    assert await asyncio.to_thread(hinted, signed)
    assert await asyncio.to_thread(first_task, signed) == ADVANCE_WITHDRAWALS


async def test_another_name_is_refused_where_the_address_names_the_signer(server: Server) -> None:
    signed = f"{server.url(OTHER_NAME)}?ssl_ca_certs={server.certificate}"
    assert "certificate" in str(await failure_at(signed))
    assert not await asyncio.to_thread(hinted, signed)
