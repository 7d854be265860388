"""A small HTTP/1.1 client on raw sockets: cheap, so that the machine's time goes to what is measured.

It knows only what our services answer: a status line, a Content-Length and a body.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

LARGEST_BACKLOG = 20_000
"""Paced requests that wait for a connection. Past it the system is overloaded, and the bench says so."""
ANSWER_SECONDS = 30.0
"""How long the last answers may take once no request is sent any more."""


@dataclass
class Tally:
    """What came back: seconds that each answer took, and how many were refused or cut off."""

    took: list[float] = field(default_factory=list)
    rejected: int = 0
    broken: int = 0
    seconds: float = 0.0


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, tally: Tally, on_free: Callable[[_Connection], None]) -> None:
        self._tally = tally
        self._on_free = on_free
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._needed = 0
        self._since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one without saying so

    def send(self, request: bytes, since: float) -> None:
        """Send a request; its answer is timed from `since`."""
        self._since = since
        if self._transport is None or self._transport.is_closing():
            self._tally.broken += 1
            self._since = None
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._needed = end + 4 + _content_length(self._buffer[:end])
        if len(self._buffer) >= self._needed and self._since is not None:
            self._tally.took.append(time.perf_counter() - self._since)
            self._tally.rejected += self._buffer[9:10] not in b"123"
            self._buffer, self._needed, self._since = self._buffer[self._needed :], 0, None
            self._on_free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        if self._since is not None:
            self._tally.broken += 1
            self._since = None

    @property
    def is_busy(self) -> bool:
        """Whether an answer is due."""
        return self._since is not None

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise ValueError("the answer has no Content-Length")


async def _open(url: str, connections: int, tally: Tally, on_free: Callable[[_Connection], None]) -> list[_Connection]:
    host, _, port = urlsplit(url).netloc.partition(":")
    loop = asyncio.get_running_loop()
    opened = [loop.create_connection(lambda: _Connection(tally, on_free), host, int(port)) for _ in range(connections)]
    return [protocol for _, protocol in await asyncio.gather(*opened)]


async def _close(connections: list[_Connection], tally: Tally) -> None:
    """Wait for what is under way, within bounds; what does not come is broken."""
    until = time.perf_counter() + ANSWER_SECONDS
    for connection in connections:
        while connection.is_busy and time.perf_counter() < until:  # noqa: ASYNC110 - asked a few times, at the end
            await asyncio.sleep(0.01)
    tally.broken += sum(connection.is_busy for connection in connections)
    for connection in connections:
        connection.close()


async def keep_busy(url: str, requests: Iterator[bytes], *, connections: int, seconds: float) -> Tally:
    """Each connection sends its next request as soon as it has its answer, until the time is up or none are left.

    All answers count, and so does the time until the last one.
    """
    tally = Tally()
    began = time.perf_counter()
    until = began + seconds
    last = began
    idle = 0
    over = asyncio.Event()

    def send_next(connection: _Connection) -> None:
        nonlocal idle, last
        last = now = time.perf_counter()
        request = next(requests, None) if now < until else None
        if request is None:
            idle += 1
            if idle == connections:
                over.set()
        else:
            connection.send(request, now)

    opened = await _open(url, connections, tally, send_next)
    for connection in opened:
        send_next(connection)
    try:
        await asyncio.wait_for(over.wait(), seconds + ANSWER_SECONDS)
    except TimeoutError:
        last = time.perf_counter()
    await _close(opened, tally)
    tally.seconds = last - began
    return tally


async def pace(url: str, requests: Iterator[bytes], *, connections: int, seconds: float, per_second: float) -> Tally:
    """Requests come at random moments, so many a second on average, whether the earlier ones are answered or not.

    An answer is timed from the moment its request was due: waiting for a free connection counts.
    """
    tally = Tally()
    free: deque[_Connection] = deque()
    due: deque[float] = deque()

    def send_oldest(connection: _Connection) -> None:
        if due:
            connection.send(next(requests), due.popleft())
        else:
            free.append(connection)

    opened = await _open(url, connections, tally, send_oldest)
    free.extend(opened)
    began = time.perf_counter()
    next_at = began
    while (now := time.perf_counter()) < began + seconds:
        while next_at <= now and len(due) < LARGEST_BACKLOG:
            due.append(next_at)
            next_at += random.expovariate(per_second)
            if free:
                send_oldest(free.popleft())
        await asyncio.sleep(max(0.0, min(next_at - time.perf_counter(), 0.01)))
    tally.seconds = time.perf_counter() - began
    await _close(opened, tally)
    return tally


async def one_by_one(url: str, requests: Iterator[bytes], *, count: int, pause_seconds: float) -> Tally:
    """`count` requests on one connection, with a pause after each: an idle system."""
    tally = Tally()
    answered = asyncio.Event()
    (connection,) = await _open(url, 1, tally, lambda _: answered.set())
    for _ in range(count):
        answered.clear()
        connection.send(next(requests), time.perf_counter())
        await asyncio.wait_for(answered.wait(), ANSWER_SECONDS)
        await asyncio.sleep(pause_seconds)
    await _close([connection], tally)
    return tally
