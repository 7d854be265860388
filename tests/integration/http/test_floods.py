"""A flood of connections: those who send requests are answered, and what is refused is told so and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from shared.http import awaited_heads
from tests.support.apps import application, user_app_settings
from tests.support.deadlines import deadline
from tests.support.serving import serving
from tests.support.waiting import eventually_async

MOST = 40
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost:"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def url(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[str]:
    """user_app, which serves MOST connections at once."""
    with application(user_app_settings(database_url, redis_url)) as app:
        context = serving(app, limit_concurrency=MOST)
        yield await asyncio.to_thread(context.__enter__)
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def connections(url: str, count: int, *, each_sends: bytes) -> AsyncIterator[list[Stream]]:
    host, _, port = url.removeprefix("http://").partition(":")
    opened: list[Stream] = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection(host, int(port)))
            if each_sends:
                opened[-1][1].write(each_sends)
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


async def head_of(stream: Stream) -> dict[str, str]:
    """Status and headers of the next response."""
    async with asyncio.timeout(deadline()):
        status, *lines = (await stream[0].readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    await stream[0].readexactly(int(headers["content-length"]))
    return headers | {"status": status.split()[1]}


async def ask(url: str) -> str:
    async with connections(url, 1, each_sends=GET) as (stream,):
        return (await head_of(stream))["status"]


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("batua_http_refused_total", {"reason": reason}) or 0


@pytest.mark.parametrize("each_sends", [b"", HALF], ids=["nothing", "half a request"])
async def test_connections_without_a_request_keep_no_place_from_others(url: str, each_sends: bytes) -> None:
    before = refused("place_needed")
    async with connections(url, 3 * MOST, each_sends=each_sends):
        assert [await ask(url) for _ in range(5)] == ["200"] * 5
    assert refused("place_needed") - before >= 2 * MOST


@pytest.mark.parametrize("each_sends", [b"", HALF, GET], ids=["nothing", "half a request", "one and a half"])
async def test_a_connection_that_sends_no_whole_request_in_time_is_closed(
    url: str, each_sends: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited_heads, "HEAD_SECONDS", 0.2)
    before = refused("no_request")
    async with connections(url, 3, each_sends=each_sends) as opened, asyncio.timeout(deadline()):
        for number, stream in enumerate(opened, start=1):
            if each_sends == GET:
                assert (await head_of(stream))["status"] == "200"
                stream[1].write(HALF)
            await stream[0].read()  # to its end
            assert refused("no_request") - before >= number


async def test_requests_too_many_are_told_so_with_every_header_and_the_others_go_on(url: str) -> None:
    before = refused("too_many")
    async with connections(url, MOST, each_sends=GET) as served:
        assert [(await head_of(stream))["status"] for stream in served] == ["200"] * MOST
        async with connections(url, 2 * MOST, each_sends=GET) as flood:
            for stream in flood:
                told = await head_of(stream)
                assert (told["status"], told["retry-after"], told["connection"]) == ("503", "2", "close")
                assert told["content-type"] == "application/problem+json"
                assert told["x-content-type-options"] == "nosniff"
                assert told["cache-control"] == "no-store"
                assert "default-src 'none'" in told["content-security-policy"]
                assert told["x-request-id"]
        for stream in served:
            stream[1].write(GET)
            assert (await head_of(stream))["status"] == "200"
    assert refused("too_many") - before == 2 * MOST

    async def is_answered() -> bool:
        return await ask(url) == "200"

    await eventually_async(is_answered, "there is room again")


async def test_one_too_many_that_sends_its_request_late_is_told_so_too(url: str) -> None:
    """It has no place that a newer one could take. Only so many are heard; beyond that the oldest is closed."""
    async with connections(url, MOST, each_sends=GET) as served:
        assert [(await head_of(stream))["status"] for stream in served] == ["200"] * MOST
        async with connections(url, MOST, each_sends=b"") as late:
            assert await ask(url) == "503"
            for stream in late[1:]:
                stream[1].write(GET)
                assert (await head_of(stream))["status"] == "503"
            assert await late[0][0].read() == b""
