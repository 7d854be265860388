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
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary, ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from shared import callers
from shared.callers import Caller
from shared.http import awaited_requests, exchange
from shared.http.awaited_requests import AwaitedRequests
from shared.http.departure import Departure
from shared.http.per_address import AddressLimit, PerAddress
from shared.http.refusal import refuse
from shared.runtime import metrics

MAX_HEAD_BYTES = 16 * 1024
REFUSED_LINE_SECONDS = 10.0
ANSWER_SECONDS = 2.0

_STAYS = Departure()
"""Of an application that announces nothing."""

_logger = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends MAX_HEAD_BYTES without completing a head or adding to a body.

    That covers the request line, headers, trailers, chunk extensions and empty lines, all of which the parser would
    otherwise keep or read without end. The body has a limit of its own, in the application.

    Of more connections or requests at once than uvicorn's `limit_concurrency`, the newest are answered 503 with
    Retry-After and closed; those that were there before go on. A connection that has not sent a whole request yet is
    not one of those: it has `request_seconds` for it, and gives its place to a newer one before that.

    Of more connections of one address than the application's `address_limit`, one that waits for a request or a part of
    it gives its place to the newest of that address; if all of them are being served, the newest is closed.

    Once the application has announced that it stops, each response ends its connection: else the next request on one
    could meet its closing.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False  # the application logs its requests; the server's line would hold the whole address
        self._incomplete_bytes = 0
        self._caller = Caller()
        self._served = self.app
        state = getattr(self.app, "state", None)
        self._refusal = getattr(state, "refusal", refuse)
        self._departure = getattr(state, "departure", _STAYS)
        self._body_seconds: float = getattr(state, "body_seconds", awaited_requests.HEAD_SECONDS)
        self._is_too_many = False
        self._is_whole = True
        self._address: bytes | None = None
        self._most = self.limit_concurrency or sys.maxsize
        self.limit_concurrency = None  # at which uvicorn answers in plain text, and everyone

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to serve a connection, or to refuse it if there are too many."""
        super().connection_made(transport)
        self._caller.peer = self.client[0] if self.client else None
        self._doors = _doors_of(self)
        self._address = self._doors.per_address.add(self, self._caller.peer)
        if self._address is None or self._doors.make_room(self, self._address):
            self._is_too_many = not self._doors.awaited.find_place(self, self._most)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let what waits for this client in a queue be dropped."""
        super().connection_lost(exc)
        self._leave()
        self._caller.leave()

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; answer 400 and close when the limit is reached."""
        was_begun = self._incomplete_bytes or not self._is_whole
        self._incomplete_bytes += len(data)
        super().data_received(data)
        if self._incomplete_bytes or not self._is_whole:
            self._await_the_rest(is_first=not was_begun)

    def on_headers_complete(self) -> None:
        """Start the request, or refuse it: requests of clients who have hung up count until they end."""
        self._incomplete_bytes = 0
        self._is_whole = False
        self.app = self._served
        if self._is_too_many or len(self.tasks) >= self._most:
            _refusals.count(self._most)
            self.app = self._refusal
        super().on_headers_complete()
        # In time: the task that serves the request has been made, and runs later.
        extensions: dict[str, Any] = {callers.EXTENSION: self._caller, exchange.EXTENSION: _Exchange(self.cycle)}
        self.scope["extensions"] = extensions
        if self._departure.is_announced:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._incomplete_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._incomplete_bytes = 0
        self._is_whole = True
        self._doors.awaited.has_come(self)
        self._caller.began_at = None
        super().on_message_complete()

    def request_seconds(self) -> float | None:
        """How long a request may take to be whole: a little longer than the application waits for a body, because it
        answers 408. None while we do not read what the client sends."""
        if self.flow.read_paused:
            return None
        if self._is_between_requests():
            return awaited_requests.HEAD_SECONDS
        return max(awaited_requests.HEAD_SECONDS, self._body_seconds) + ANSWER_SECONDS

    def abort(self) -> None:
        """Close the connection now. What a client does not read would keep it open."""
        self._leave()
        self.transport.abort()

    def gives_way(self) -> bool:
        """Whether no request is being served: the connection is idle, or waits for a part of one."""
        return self._is_between_requests() or self._doors.awaited.awaits(self)

    def _leave(self) -> None:
        self._doors.awaited.leave(self)
        if self._address is not None:
            self._doors.per_address.leave(self, self._address)

    def _await_the_rest(self, *, is_first: bool) -> None:
        """A request has begun and is not whole. Its time begins with its first byte."""
        if is_first:
            self._doors.awaited.has_come(self)
        self._caller.began_at = self._doors.awaited.add(self)
        if self._incomplete_bytes > MAX_HEAD_BYTES:
            self._refuse()

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


@dataclass(frozen=True, slots=True)
class _Doors:
    """Which connections a server keeps."""

    awaited: AwaitedRequests[BoundedProtocol]
    per_address: PerAddress[BoundedProtocol]

    def make_room(self, connection: BoundedProtocol, address: bytes) -> bool:
        """Let an older connection of an address with too many go. False: all are being served, and the new one goes."""
        if not self.per_address.is_full(address):
            return True
        others = (each for each in self.per_address.of(address) if each is not connection)
        oldest = next((each for each in others if each.gives_way()), None)
        self.awaited.give_up(oldest or connection, "address_full")
        return oldest is not None


_doors: WeakKeyDictionary[ServerState, _Doors] = WeakKeyDictionary()


def _doors_of(connection: BoundedProtocol) -> _Doors:
    """Those of its server."""
    found = _doors.get(connection.server_state)
    if found is None:
        state = getattr(connection.app, "state", None)
        limit = getattr(state, "address_limit", AddressLimit(sys.maxsize, ()))
        connections = cast("set[BoundedProtocol]", connection.connections)
        found = _Doors(AwaitedRequests(connection.loop, connections), PerAddress(limit))
        _doors[connection.server_state] = found
    return found
