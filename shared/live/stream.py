"""A stream of server-sent events: kept alive by comments, ended when its session ends."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared import clock
from shared.auth.errors import TokenExpired, TokenInvalid, TokenRevoked
from shared.auth.tokens import Identity
from shared.db.outages import is_outage
from shared.ledger.accounts import Wallet
from shared.live.feed import Event, Feed
from shared.live.hub import Hub, Listener
from shared.runtime.resources import Resources

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 2_000
SEND_SECONDS = 10.0
"""A client that does not read for so long is disconnected; its next connection continues from its cursor."""
PAUSE_SECONDS = 0.1
"""Between two readings, times the streams that the owner has open in this process: so an owner costs ten readings a
second at most, however many streams there are."""
HEADERS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_HEARTBEAT = b": still here\n\n"
_logger = logging.getLogger(__name__)


class EventStream(Response):
    """Sends chunks until they end, the client leaves or it stops reading. Calls `on_close` in every case."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncIterator[bytes], on_close: Callable[[], Awaitable[None]]) -> None:
        self.status_code = 200
        self.background = None
        self._chunks = chunks
        self._on_close = on_close
        self.init_headers(HEADERS)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Stream to one client."""
        sending, leaving = asyncio.create_task(self._send_all(send)), asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._on_close()
        failed = results[0]
        if isinstance(failed, Exception) and not isinstance(failed, OSError):  # an OSError: the client left
            raise failed

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._chunks:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except TimeoutError:
                _logger.info("a client does not read its events and is disconnected")
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def encode(event: Event, body: Mapping[str, Any]) -> bytes:
    """One event on the wire. JSON has no line break, so it is one `data` line."""
    return f"id: {event.cursor}\nevent: {event.name}\ndata: {json.dumps(body)}\n\n".encode()


async def chunks(
    resources: Resources,
    *,
    hub: Hub,
    listener: Listener,
    feed: Feed,
    body_of: Callable[[Event], Mapping[str, Any]],
    identity: Identity,
    token: str,
) -> AsyncIterator[bytes]:
    """Events as they come, and a comment after HEARTBEAT_SECONDS without one; ends with the session or the process.

    No connection to the database is held between two readings.
    """
    yield _retry_after(RETRY_MILLISECONDS)
    while not listener.is_closing:
        listener.woken.clear()
        try:
            async with listener.reading, hub.read_slots:
                asked_at = clock.now()
                wallet = await _wallet_of_session(resources, token)
                if wallet is None:
                    return
                events, has_more = await feed.read_events(resources.reads, wallet, asked_at)
        except Exception as error:
            if not is_outage(error):
                raise
            _logger.warning("events cannot be read: %s", type(error).__name__)
            events, has_more = [], False
        yield b"".join(encode(event, body_of(event)) for event in events) if events else _HEARTBEAT
        await asyncio.sleep(PAUSE_SECONDS * hub.count_of(listener))
        if not has_more:
            left_seconds = (identity.expires_at - clock.now()).total_seconds()
            await listener.wait(max(0.0, min(HEARTBEAT_SECONDS, left_seconds)))
    # Not all at once: the streams of a process that stops are opened again at those that go on.
    yield _retry_after(random.randint(RETRY_MILLISECONDS // 10, RETRY_MILLISECONDS))  # noqa: S311 - no secret


def _retry_after(milliseconds: int) -> bytes:
    return f"retry: {milliseconds}\n\n".encode()


async def _wallet_of_session(resources: Resources, token: str) -> Wallet | None:
    """The wallet as it stands now; None when the session has ended."""
    try:
        return (await resources.sessions.check(token)).wallet
    except (TokenInvalid, TokenExpired, TokenRevoked):
        return None
