"""A wire to a server that a test can cut and mend."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

CHUNK_BYTES = 64 * 1024
LOOK_SECONDS = 0.01


@dataclass(eq=False)
class Wire:
    """Listens on `port` and passes everything on, until it is cut: then every connection is closed."""

    target_host: str
    target_port: int
    port: int = 0
    is_cut: bool = False
    answers_left: int | None = None
    """How many more pieces come back before it breaks by itself; None for as many as there are."""
    hides_ends: bool = False
    """Whether the caller does not learn yet that the server has closed its connection: only what it said before."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def through(self, url: str) -> str:
        """The same URL by way of this wire."""
        return make_url(url).set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        self.is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Let new connections through again."""
        self.is_cut = False

    def _may_answer(self) -> bool:
        if self.answers_left is None:
            return True
        self.answers_left -= 1
        return self.answers_left > 0

    async def _may_end(self) -> None:
        while self.hides_ends:
            await asyncio.sleep(LOOK_SECONDS)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, until either side ends it."""
        if self.is_cut:
            writer.transport.abort()
            return
        ends = {writer}
        self._writers |= ends  # from now on: a cut may come while the other end is being called
        try:
            there, onward = await asyncio.open_connection(self.target_host, self.target_port)
            ends.add(onward)
            self._writers |= ends
            await asyncio.gather(_pump(reader, onward), _pump(there, writer, self._may_answer, self._may_end))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()


@asynccontextmanager
async def wire_to(host: str, port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A wire to `host:port` on a free port of the loopback. With `tls`, which ends there, it is reached by TLS only."""
    wire = Wire(host, port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0, ssl=tls)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut()


async def _at_once() -> None:
    """Nothing is waited for."""


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    may_go_on: Callable[[], bool] = lambda: True,
    may_end: Callable[[], Awaitable[None]] = _at_once,
) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
            if not may_go_on():
                break
    await may_end()
    # One side has ended: so must the other, or the connection would hang half open. What was said is still heard.
    writer.close()
