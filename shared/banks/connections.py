"""Connections to one bank: many calls at once at a cost per call that does not grow with their number.

At every request, and again at its end, the pool of httpx looks at all its connections once for each request that waits,
and polls their sockets. With 64 calls at once that costs several times as much as the calls. So each connection is a
pool of its own here, and a call takes the one that was used last.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx


class Connections(httpx.AsyncBaseTransport):
    """At most `most` connections, opened when needed; a request that finds none free waits as long as its `pool`
    timeout allows, then raises httpx.PoolTimeout: it was not sent.
    """

    def __init__(self, most: int, verify: ssl.SSLContext) -> None:
        self._verify = verify
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._opened: list[httpx.AsyncHTTPTransport] = []
        self._free = asyncio.Semaphore(most)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the connection is free again when the response is closed."""
        try:
            async with asyncio.timeout(request.extensions["timeout"]["pool"]):
                await self._free.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection is free", request=request) from None
        connection = self._idle.pop() if self._idle else self._open()
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._discard(connection)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, lambda: self._give_back(connection), lambda: self._discard(connection))
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        for connection in list(self._opened):
            await connection.aclose()

    def _open(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        connection = httpx.AsyncHTTPTransport(verify=self._verify, trust_env=False, limits=limits)
        self._opened.append(connection)
        return connection

    def _give_back(self, connection: httpx.AsyncHTTPTransport) -> None:
        self._idle.append(connection)
        self._free.release()

    async def _discard(self, connection: httpx.AsyncHTTPTransport) -> None:
        """Never use it again: a pool whose request was interrupted may count its one connection as taken for ever."""
        self._opened.remove(connection)
        self._free.release()
        await connection.aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body, which gives its connection back once when it is closed, or discards it if closing fails."""

    def __init__(
        self, stream: httpx.AsyncByteStream, give_back: Callable[[], None], discard: Callable[[], Awaitable[None]]
    ) -> None:
        self._stream = stream
        self._give_back = give_back
        self._discard = discard
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._stream.aclose()
        except BaseException:
            await self._discard()
            raise
        self._give_back()
