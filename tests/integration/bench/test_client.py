"""The bench's own client counts what comes back, and times a paced request from the moment it was due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import repeat

import pytest

from bench import client
from tests.support.deadlines import deadline

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BODY = b'{"hello": "world"}'


class Server:
    """Answers every request after a pause; each third of a connection with 409, and in two pieces."""

    def __init__(self) -> None:
        self.answered = 0
        self.pause_seconds = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while await reader.readline():
            while await reader.readline() not in (b"\r\n", b""):
                pass
            count += 1
            self.answered += 1
            await asyncio.sleep(self.pause_seconds)
            status = b"409 Conflict" if count % 3 == 0 else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY[:5])
            await writer.drain()
            writer.write(BODY[5:])
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    answering = Server()
    listening = await asyncio.start_server(answering.serve, "127.0.0.1", 0)
    async with listening:
        yield answering, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_each_request_is_sent_once_and_refusals_are_counted(server: tuple[Server, str]) -> None:
    answering, url = server
    tally = await client.keep_busy(url, iter([REQUEST] * 12), connections=2, seconds=deadline(20))
    assert (answering.answered, len(tally.took), tally.broken) == (12, 12, 0)
    assert 3 <= tally.rejected <= 4
    assert tally.seconds < deadline(20)  # it does not wait for the time to be up


async def test_no_request_is_sent_once_the_time_is_up(server: tuple[Server, str]) -> None:
    tally = await client.keep_busy(server[1], repeat(REQUEST), connections=3, seconds=0.2)
    assert len(tally.took) == server[0].answered
    assert tally.seconds >= max(tally.took)


async def test_a_paced_request_is_timed_from_when_it_was_due(server: tuple[Server, str]) -> None:
    answering, url = server
    answering.pause_seconds = 0.05
    tally = await client.pace(url, repeat(REQUEST), connections=1, seconds=0.5, per_second=100)
    # One connection answers 20 a second, 100 are due: those that come late have waited for those before them.
    assert tally.broken == 0
    assert max(tally.took) > 3 * answering.pause_seconds


async def test_one_by_one_sends_so_many(server: tuple[Server, str]) -> None:
    tally = await client.one_by_one(server[1], repeat(REQUEST), count=5, pause_seconds=0)
    assert (len(tally.took), server[0].answered, tally.rejected) == (5, 5, 1)
