"""How the HTTP server reads requests: uvicorn with httptools, which sets no limit of its own on headers.

It also tells the application of a caller who hangs up, lets it answer a whole request with a whole response, and
answers a connection too many as the application would.

Name it on the command line, `--http shared.http.server:BoundedProtocol`, or in `uvicorn.Config(http=BoundedProtocol)`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from shared import callers
from shared.callers import Caller
from shared.http import exchange
from shared.http.awaited_heads import AwaitedHeads
from shared.http.refusal import refuse
from shared.runtime import metrics

MAX_HEAD_BYTES = 16 * 1024
REFUSED_LINE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends MAX_HEAD_BYTES without completing a head or adding to a body.

    That covers the request line, headers, trailers, chunk extensions and empty lines, all of which the parser would
    otherwise keep or read without end. The body has a limit of its own, in the application.

    Of more connections or requests at once than uvicorn's `limit_concurrency`, the newest are answered 503 with
    Retry-After and closed; those that were there before go on. A connection that has not sent a whole head yet is not
    one of those: it has HEAD_SECONDS for it, and gives its place to a newer one before that.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False  # the application logs its requests; the server's line would hold the whole address
        self._incomplete_bytes = 0
        self._caller = Caller()
        self._served = self.app
        self._refusal = getattr(getattr(self.app, "state", None), "refusal", refuse)
        self._is_too_many = False
        self._most = self.limit_concurrency or sys.maxsize
        self.limit_concurrency = None  # at which uvicorn answers in plain text, and everyone

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection, or to refuse it if there are too many."""
        super().connection_made(transport)
        self._heads = _heads_of(self)
        self._is_too_many = not self._heads.find_place(self, self._most)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let what waits for this client in a queue be dropped."""
        super().connection_lost(exc)
        self._heads.leave(self)
        self._caller.leave()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; answer 400 and close when the limit is reached."""
        self._incomplete_bytes += len(data)
        super().data_received(data)
        if self._incomplete_bytes:
            if self._is_between_requests():
                self._heads.add(self)
            if self._incomplete_bytes > MAX_HEAD_BYTES:
                self._refuse()

    def on_headers_complete(self) -> None:
        """Start the request, or refuse it: requests of clients who have hung up count until they end."""
        self._incomplete_bytes = 0
        self._heads.has_come(self)
        self.app = self._served
        if self._is_too_many or len(self.tasks) >= self._most:
            _refusals.count(self._most)
            self.app = self._refusal
        super().on_headers_complete()
        # In time: the task that serves the request has been made, and runs later.
        extensions: dict[str, Any] = {callers.EXTENSION: self._caller, exchange.EXTENSION: _Exchange(self.cycle)}
        self.scope["extensions"] = extensions

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._incomplete_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._incomplete_bytes = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if self._is_between_requests():
            self.send_400_response("Request header fields too large.")
        else:  # trailers of a request that is being served: a second response would be taken for its answer
            self.transport.close()

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete


class _Exchange:
    """Reads and writes what uvicorn's cycle of one request and response would pass on as messages.

    The cycle holds the scope, which holds this: it is referred to weakly, so that no request leaves work for the
    garbage collector. The task that serves the request keeps it.
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = ref(cycle)

    def whole_body(self) -> bytes | None:
        """The body; None while a part of it is missing, and for a client who waits for a word or has left."""
        cycle = self._cycle()
        if cycle is None or cycle.more_body or cycle.waiting_for_100_continue or cycle.disconnected:
            return None
        return bytes(cycle.body)

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a response by one write. False, and nothing is sent, for a client who reads slowly."""
        cycle = self._cycle()
        if cycle is None or cycle.response_started or cycle.flow.write_paused:
            return False
        if cycle.disconnected:
            return True  # as uvicorn treats messages to a client who has left
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


class _Refusals:
    """Logs one line per REFUSED_LINE_SECONDS, so that a flood of connections does not flood the log."""

    def __init__(self) -> None:
        self._count = 0
        self._next_line_at = 0.0

    def count(self, most: int) -> None:
        """One request more than `most`, or on one connection more."""
        metrics.count_refused("too_many")
        self._count += 1
        now = time.monotonic()
        if now >= self._next_line_at:
            _logger.warning("%d requests refused since the last such line: %d at once are served", self._count, most)
            self._count, self._next_line_at = 0, now + REFUSED_LINE_SECONDS


_refusals = _Refusals()

_heads: WeakKeyDictionary[ServerState, AwaitedHeads[Any]] = WeakKeyDictionary()


def _heads_of(connection: BoundedProtocol) -> AwaitedHeads[Any]:
    """Those of its server."""
    found = _heads.get(connection.server_state)
    if found is None:
        found = AwaitedHeads(connection.loop, connection.connections, _close)
        _heads[connection.server_state] = found
    return found


def _close(connection: BoundedProtocol) -> None:
    connection.transport.close()
