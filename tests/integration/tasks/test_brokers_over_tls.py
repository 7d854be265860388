"""`amqps://` and `sentinels://`: nothing is said to a server before its signer and its name are verified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kombu import pools
from pydantic import SecretStr

from shared.ids import new_id
from shared.redis.client import REDIS_ERRORS, open_redis
from shared.redis.settings import RedisSettings
from shared.tasks.hints import Hints
from tests.support.deadlines import deadline
from tests.support.tls import certificate_for

NAME, OTHER_NAME = "localhost", "127.0.0.1"
FIRST_WORDS = {"amqps": b"AMQP", "sentinels": b"*"}


@dataclass
class Server:
    """Speaks TLS, and hangs up when it has heard the first words. Its certificate is for NAME."""

    certificate: Path
    port: int = 0
    heard: list[bytes] = field(default_factory=list)

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.read(64))
        writer.close()

    def url(self, scheme: str, host: str = NAME) -> str:
        place = "batua" if scheme == "amqps" else "0?master=batua"
        return f"{scheme}://user:secret@{host}:{self.port}/{place}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = certificate_for(NAME, tmp_path)
    server = Server(made.certificate)
    async with await asyncio.start_server(server.listen, OTHER_NAME, 0, ssl=made.server_context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


@pytest.fixture
def known(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, whose certificate is one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    return server


def hint(url: str) -> None:
    """Try to send one, by a connection of its own."""
    pools.reset()
    hints = Hints(url, timeout_seconds=deadline())
    try:
        assert not hints.send(new_id()), "no broker is there"
    finally:
        hints.close()


async def wake_up(url: str) -> None:
    """Try to write what wake-ups and counts write."""
    settings = RedisSettings(redis_url=SecretStr(url), redis_timeout_seconds=deadline())
    async with open_redis(settings) as redis:
        with pytest.raises(REDIS_ERRORS):
            await redis.set("count", 1)


@pytest.mark.parametrize("scheme", FIRST_WORDS)
async def test_a_server_that_the_system_knows_is_spoken_to(known: Server, scheme: str) -> None:
    await asyncio.to_thread(hint, known.url(scheme))
    assert known.heard
    assert all(words.startswith(FIRST_WORDS[scheme]) for words in known.heard)


@pytest.mark.parametrize("scheme", FIRST_WORDS)
async def test_another_name_hears_nothing(known: Server, scheme: str) -> None:
    await asyncio.to_thread(hint, known.url(scheme, OTHER_NAME))
    assert known.heard == []


@pytest.mark.parametrize("scheme", FIRST_WORDS)
async def test_an_unknown_signer_hears_nothing(server: Server, scheme: str) -> None:
    await asyncio.to_thread(hint, server.url(scheme))
    assert server.heard == []


async def test_wake_ups_ask_only_sentinels_that_the_system_knows(known: Server) -> None:
    await wake_up(known.url("sentinels", OTHER_NAME))
    assert known.heard == []
    await wake_up(known.url("sentinels"))
    assert known.heard
