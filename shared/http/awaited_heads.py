"""Connections that have not sent a whole request head yet, so that they keep no place from those that have.

One that takes HEAD_SECONDS for it is closed. When a server has as many connections as it may, a new one takes the place
of the one that it has waited for the longest. If requests have taken all places, a new one has none, and is heard only
to be told so. No more of those wait than there are places.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableSet
from typing import Generic, TypeVar

from shared.runtime import metrics

HEAD_SECONDS = 10.0

ConnectionT = TypeVar("ConnectionT")


class AwaitedHeads(Generic[ConnectionT]):
    """Those of one server, the oldest first. `close` closes a connection; `connections` are all that count."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: MutableSet[ConnectionT],
        close: Callable[[ConnectionT], None],
    ) -> None:
        self._loop = loop
        self._connections = connections
        self._close = close
        self._since: dict[ConnectionT, float] = {}
        self._placeless: dict[ConnectionT, None] = {}
        self._timer: asyncio.TimerHandle | None = None  # one per server, however many connections there are

    def add(self, connection: ConnectionT) -> None:
        """Wait for its head from now on, or still."""
        if connection not in self._since:
            self._since[connection] = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(HEAD_SECONDS, self._close_late)

    def has_come(self, connection: ConnectionT) -> None:
        """Its head is there."""
        self._since.pop(connection, None)

    def leave(self, connection: ConnectionT) -> None:
        """It is gone."""
        self._since.pop(connection, None)
        self._placeless.pop(connection, None)

    def find_place(self, connection: ConnectionT, most: int) -> bool:
        """Wait for the head of a new connection. False: `most` others, whose requests have begun, have all places."""
        has_place = len(self._connections) - len(self._placeless) <= most or self._take_oldest_place()
        if not has_place:
            if len(self._placeless) >= most:
                self._give_up(next(iter(self._placeless)), "place_needed")
            self._placeless[connection] = None
        self.add(connection)
        return has_place

    def _take_oldest_place(self) -> bool:
        oldest = next((each for each in self._since if each not in self._placeless), None)
        if oldest is None:
            return False
        self._give_up(oldest, "place_needed")
        return True

    def _close_late(self) -> None:
        self._timer = None
        before = self._loop.time() - HEAD_SECONDS
        for connection, since in list(self._since.items()):
            if since > before:
                self._timer = self._loop.call_at(since + HEAD_SECONDS, self._close_late)
                return
            self._give_up(connection, "no_request")

    def _give_up(self, connection: ConnectionT, reason: str) -> None:
        self.leave(connection)
        self._connections.discard(connection)  # its end is noticed only later
        metrics.count_refused(reason)
        self._close(connection)
