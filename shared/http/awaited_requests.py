"""Connections whose request is not whole yet, so that they keep no place from those that have sent one.

One that takes HEAD_SECONDS for a head is closed, and so is one whose body is late. When a server has as many
connections as it may, a new one takes the place of the one that it has waited for the longest. If requests have taken
all places, a new one has none, and is heard only to be told so. No more of those wait than there are places.
"""

from __future__ import annotations

import asyncio
from collections.abc import MutableSet
from typing import Generic, Protocol, TypeVar

from shared.runtime import metrics

HEAD_SECONDS = 10.0


class Connection(Protocol):
    """What is asked of a connection."""

    def request_seconds(self) -> float | None:
        """How long its request may take to be whole, HEAD_SECONDS at least; None while we ourselves do not read it."""

    def abort(self) -> None:
        """Close it now, and drop what was not sent."""


ConnectionT = TypeVar("ConnectionT", bound=Connection)


class AwaitedRequests(Generic[ConnectionT]):
    """Those of one server, the oldest first. `connections` are all that count."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: MutableSet[ConnectionT]) -> None:
        self._loop = loop
        self._connections = connections
        self._since: dict[ConnectionT, float] = {}
        self._placeless: dict[ConnectionT, None] = {}
        self._timer: asyncio.TimerHandle | None = None  # one per server, however many connections there are

    def add(self, connection: ConnectionT) -> float:
        """Wait for its request from now on, or still. Answers since when, as a time of the loop."""
        since = self._since.get(connection)
        if since is None:
            since = self._since[connection] = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(HEAD_SECONDS, self._close_late)
        return since

    def has_come(self, connection: ConnectionT) -> None:
        """Its request is whole, or begins only now."""
        self._since.pop(connection, None)

    def leave(self, connection: ConnectionT) -> None:
        """It is gone."""
        self._since.pop(connection, None)
        self._placeless.pop(connection, None)

    def find_place(self, connection: ConnectionT, most: int) -> bool:
        """Wait for the request of a new connection. False: `most` others, whose requests are whole, have all places."""
        has_place = len(self._connections) - len(self._placeless) <= most or self._take_oldest_place()
        if not has_place:
            if len(self._placeless) >= most:
                self.give_up(next(iter(self._placeless)), "place_needed")
            self._placeless[connection] = None
        self.add(connection)
        return has_place

    def awaits(self, connection: ConnectionT) -> bool:
        """Whether its request is not whole."""
        return connection in self._since

    def give_up(self, connection: ConnectionT, reason: str) -> None:
        """Close it, and count why."""
        self.leave(connection)
        self._connections.discard(connection)  # its end is noticed only later
        metrics.count_refused(reason)
        connection.abort()

    def _take_oldest_place(self) -> bool:
        oldest = next((each for each in self._since if each not in self._placeless), None)
        if oldest is None:
            return False
        self.give_up(oldest, "place_needed")
        return True

    def _close_late(self) -> None:
        self._timer = None
        now = self._loop.time()
        next_at = None
        for connection, since in list(self._since.items()):
            if since > now - HEAD_SECONDS:  # and so are all that follow
                next_at = min(next_at or since + HEAD_SECONDS, since + HEAD_SECONDS)
                break
            seconds = connection.request_seconds()
            if seconds is not None and since <= now - seconds:
                self.give_up(connection, "no_request")
            else:
                ends_at = now + HEAD_SECONDS if seconds is None else since + seconds
                next_at = min(next_at or ends_at, ends_at)
        if next_at is not None:
            self._timer = self._loop.call_at(next_at, self._close_late)
