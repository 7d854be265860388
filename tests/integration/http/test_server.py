"""What the HTTP server does with bytes that are no proper request, on a real connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request

from shared.http.server import MAX_HEAD_BYTES
from tests.support.deadlines import deadline
from tests.support.serving import serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST_CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
LAST = b"Connection: close\r\n\r\n"
PIECE = 4096


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = FastAPI()

    @app.get("/")
    async def hello() -> str:
        return "hello"

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    with serving(app) as running:
        yield running


async def exchange(url: str, *pieces: bytes) -> bytes:
    """Everything the server says until it closes the connection, which must happen."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    heard = b""
    async with asyncio.timeout(deadline()):
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while more := await reader.read(65536):
                heard += more
        except ConnectionError:  # closed while we were still sending
            pass
    writer.transport.abort()
    return heard


@pytest.mark.parametrize(
    ("start", "repeated"),
    [
        (b"GET /", b"a" * PIECE),
        (GET + b"X-Long: ", b"a" * PIECE),
        (GET, b"X-Many: y\r\n" * (PIECE // 11)),
        (b"", b"\r\n" * (PIECE // 2)),
        (POST_CHUNKED + b"\r\n1\r\na\r\n0\r\n", b"X-Trailer: y\r\n" * (PIECE // 14)),
        (POST_CHUNKED + b"\r\n1;", b"a=b;" * (PIECE // 4)),
    ],
    ids=["address", "one header", "many headers", "empty lines", "trailers", "chunk extensions"],
)
async def test_a_head_without_an_end_is_cut_off(url: str, start: bytes, repeated: bytes) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(start)
    sent = 0
    async with asyncio.timeout(deadline()):
        try:
            while not reader.at_eof() and sent < 1000 * MAX_HEAD_BYTES:
                writer.write(repeated)
                await writer.drain()
                sent += len(repeated)
                await asyncio.sleep(0.001)  # the server's turn, in a thread of its own
        except ConnectionError:
            pass
    writer.transport.abort()
    assert sent < 1000 * MAX_HEAD_BYTES, "the server still listens"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02 nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        GET + b"X: a\x00b\r\n\r\n",
        GET + b"X: a\r\n folded\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc",
        POST_CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_two_servers_could_read_differently_is_refused(url: str, request_bytes: bytes) -> None:
    heard = await exchange(url, request_bytes)
    assert heard.startswith(b"HTTP/1.1 400 ")
    assert heard.endswith(b"Invalid HTTP request received.")


async def test_a_body_in_the_smallest_chunks_is_read_whole(url: str) -> None:
    heard = await exchange(url, POST_CHUNKED + LAST, *[b"1\r\na\r\n" * 1000] * 20, b"0\r\n\r\n")
    assert heard.endswith(b"\r\n\r\n20000")


async def test_requests_that_follow_each_other_unasked_are_answered_in_order(url: str) -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    heard = await exchange(url, GET + b"\r\n" + post + GET + LAST)
    assert [heard.count(each) for each in (b"HTTP/1.1 200 OK", b'"hello"', b"\r\n\r\n3")] == [3, 2, 1]
    assert heard.index(b'"hello"') < heard.index(b"\r\n\r\n3") < heard.rindex(b'"hello"')


async def test_a_wish_for_another_protocol_is_passed_over(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(deadline()):
        writer.write(GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await reader.readuntil(b'"hello"')).startswith(b"HTTP/1.1 200 OK")
        writer.write(GET + LAST)
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_a_connection_too_many_is_told_to_come_back_and_closed() -> None:
    """Those that were there before are served on."""
    with serving(FastAPI(), limit_concurrency=1) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(2):
            writer.write(GET + b"\r\n")
            async with asyncio.timeout(deadline()):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404 ")
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(b'{"detail":"Not Found"}'))
            heard = await exchange(url, GET + b"\r\n")
            assert heard.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 2\r\n" in heard.lower()
            assert b"application/problem+json" in heard
        writer.transport.abort()


async def test_requests_of_clients_who_hung_up_count_until_they_end() -> None:
    app, go_on, begun = FastAPI(), threading.Event(), threading.Semaphore(0)

    @app.get("/")
    async def slow() -> str:
        begun.release()
        await asyncio.to_thread(go_on.wait)
        return "late"

    with serving(app, limit_concurrency=2) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        for _ in range(2):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(GET + b"\r\n")
            assert await asyncio.to_thread(begun.acquire, timeout=deadline())
            writer.transport.abort()
        try:
            assert (await exchange(url, GET + LAST)).startswith(b"HTTP/1.1 503 ")
        finally:
            go_on.set()
