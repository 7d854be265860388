"""A flood of connections: those who send requests are answered, and what is refused is told so and counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network

import pytest
from fastapi import FastAPI, Request
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from shared.http import awaited_requests, server
from shared.http.per_address import AddressLimit
from tests.support.apps import application, user_app_settings
from tests.support.deadlines import deadline
from tests.support.serving import serving
from tests.support.waiting import eventually_async

MOST = 40
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET /healthz HTTP/1.1\r\nHost:"
POST = b"POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def url(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[str]:
    """user_app, which serves MOST connections at once."""
    with application(user_app_settings(database_url, redis_url)) as app:
        context = serving(app, limit_concurrency=MOST)
        yield await asyncio.to_thread(context.__enter__)
        await asyncio.to_thread(context.__exit__, None, None, None)


@asynccontextmanager
async def connections(
    url: str, count: int, *, each_sends: bytes, source: str = "127.0.0.1"
) -> AsyncIterator[list[Stream]]:
    host, _, port = url.removeprefix("http://").partition(":")
    opened: list[Stream] = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection(host, int(port), local_addr=(source, 0)))
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
    seconds = deadline(1) if each_sends == GET else 0.2  # the first request of all three is to come in time
    monkeypatch.setattr(awaited_requests, "HEAD_SECONDS", seconds)
    before = refused("no_request")
    async with connections(url, 3, each_sends=each_sends) as opened, asyncio.timeout(deadline()):
        if each_sends == GET:
            assert [(await head_of(stream))["status"] for stream in opened] == ["200"] * 3
        for number, stream in enumerate(opened, start=1):
            if each_sends == GET:
                stream[1].write(HALF)
            with suppress(ConnectionError):  # it may be closed before its half arrives
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


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has a moment to be whole; it is long enough for the head of one that is in time."""
    monkeypatch.setattr(awaited_requests, "HEAD_SECONDS", deadline(1))
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.2)


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    context = serving(app, limit_concurrency=MOST)
    yield await asyncio.to_thread(context.__enter__)
    await asyncio.to_thread(context.__exit__, None, None, None)


def two_ways_to_take_a_body() -> FastAPI:
    """One answers before it has read the body; the other waits to be released, and then reads it."""
    app = FastAPI()
    app.state.body_seconds = 0.2
    app.state.may_read = threading.Event()

    @app.post("/unread")
    async def unread() -> None:
        """Read nothing."""

    @app.post("/late")
    async def late(request: Request) -> int:
        while not app.state.may_read.is_set():  # of another thread's loop
            await asyncio.sleep(0.01)
        return len(await request.body())

    return app


@pytest.mark.parametrize("path", [b"unread", b"late"])
@pytest.mark.usefixtures("hurried")
async def test_a_body_that_never_ends_does_not_keep_its_connection(path: bytes) -> None:
    """Not even by a byte now and then, which keeps an idle connection from being closed."""
    app, before = two_ways_to_take_a_body(), refused("no_request")
    async with served(app) as url, connections(url, 1, each_sends=POST % (path, 10_000)) as ((reader, writer),):
        async with asyncio.timeout(deadline()):
            while not reader.at_eof() and reader.exception() is None:
                writer.write(b".")
                await asyncio.sleep(0.01)
        app.state.may_read.set()
    assert refused("no_request") - before == 1


@pytest.mark.usefixtures("hurried")
async def test_a_body_that_we_do_not_read_yet_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    app = two_ways_to_take_a_body()
    async with served(app) as url, connections(url, 1, each_sends=POST % (b"late", 1_000_000)) as (large,):
        large[1].write(b"." * 1_000_000)
        async with connections(url, 1, each_sends=POST % (b"late", 10)) as ((reader, _),), asyncio.timeout(deadline()):
            with suppress(ConnectionError):
                assert await reader.read() == b""  # this one came after the large one, and is late
        monkeypatch.setattr(awaited_requests, "HEAD_SECONDS", deadline())  # once we read, its time counts again
        app.state.may_read.set()
        async with asyncio.timeout(deadline()):
            assert b"200 OK" in await large[0].readuntil(b"1000000")


async def are_open(streams: Sequence[Stream]) -> list[bool]:
    """Whether each still answers."""
    found = []
    for reader, writer in streams:
        writer.write(GET)
        try:
            async with asyncio.timeout(deadline()):
                found.append((await reader.read(1)) != b"")
        except ConnectionError:
            found.append(False)
    return found


@pytest.fixture
async def narrow_url() -> AsyncIterator[str]:
    """Five connections of each address, but for a proxy."""
    app = two_ways_to_take_a_body()
    app.state.address_limit = AddressLimit(5, [ip_network("127.0.0.9/32")])
    app.add_api_route("/healthz", lambda: "ok")
    async with served(app) as url:
        yield url
        app.state.may_read.set()


@pytest.mark.parametrize(
    "each_sends", [b"", HALF, GET, POST % (b"late", 10)], ids=["nothing", "half", "idle", "no body"]
)
async def test_an_address_with_too_many_connections_gives_up_its_own_oldest(narrow_url: str, each_sends: bytes) -> None:
    before = refused("address_full")
    async with (
        connections(narrow_url, 3, each_sends=GET, source="127.0.0.2") as others,
        connections(narrow_url, 4, each_sends=each_sends) as oldest,
    ):
        if each_sends == GET:
            assert [(await head_of(stream))["status"] for stream in oldest] == ["200"] * 4
        async with connections(narrow_url, 5, each_sends=GET) as newest:
            assert [(await head_of(stream))["status"] for stream in (*newest, *others)] == ["200"] * 8
            for reader, _ in oldest:
                async with asyncio.timeout(deadline()):
                    with suppress(ConnectionError):
                        await reader.read()  # to its end
            assert await are_open([*newest, *others]) == [True] * 8
    assert refused("address_full") - before == 4


async def test_an_address_whose_requests_are_all_being_served_gets_no_more_connections(narrow_url: str) -> None:
    async with (
        connections(narrow_url, 5, each_sends=POST % (b"late", 0), source="127.0.0.3"),
        connections(narrow_url, 2, each_sends=GET, source="127.0.0.3") as more,
    ):
        assert await are_open(more) == [False] * 2
        assert await ask(narrow_url) == "200"


async def test_a_trusted_proxy_has_as_many_connections_as_there_are_places(narrow_url: str) -> None:
    async with connections(narrow_url, MOST // 2, each_sends=GET, source="127.0.0.9") as streams:
        assert [(await head_of(stream))["status"] for stream in streams] == ["200"] * (MOST // 2)
        assert await are_open(streams) == [True] * (MOST // 2)
