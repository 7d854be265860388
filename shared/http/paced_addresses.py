"""Requests of an address that was refused one too many (429) begin at a pace, so that they leave time to all others.

A refusal costs about half as much CPU as a payment before it is known to be one. A caller with many connections can ask
on all of them at once, and without a pace all others wait until the last of those is refused. The pace is for the
method and path that refused, and begins with a refusal that no session is known of, of signing in for instance: what an
owner asks for has quotas.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from shared.callers import WhileWanted

PACE = 0.02
"""Seconds from the beginning of a request to that of the next one, for each second by which refusals are late
(slowed_refusals.py)."""
REMEMBERED_SECONDS = 10.0
"""After the last refusal."""
MOST_REMEMBERED = 10_000
"""Lines of one process, about 500 bytes each. The one that was refused the longest ago makes room."""


class Asked(NamedTuple):
    """What a network address asks for: the requests of one line."""

    network: str
    method: str
    path: str


class PacedAddresses:
    """Those of one process. `delay_seconds` is how late refusals are; 0 paces none.

    Nothing but open connections is in a line, and an address has a bounded number of them at a process: with 500, the
    last one waits for ten seconds. A caller who hangs up loses the place.
    """

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._lines: dict[Asked, _Line] = {}  # the one that was refused the longest ago first

    def __len__(self) -> int:
        return len(self._lines)

    def slow_down(self, asked: Asked) -> None:
        """Begin a pace, or keep to it: this has been refused."""
        if self._delay_seconds == 0:
            return
        now = asyncio.get_running_loop().time()
        self._forget(now)
        line = self._lines.pop(asked, None) or _Line(PACE * self._delay_seconds)
        line.forgotten_at = now + REMEMBERED_SECONDS
        if len(self._lines) >= MOST_REMEMBERED:
            del self._lines[next(iter(self._lines))]
        self._lines[asked] = line

    async def wait(self, asked: Asked) -> None:
        """Return when the request may begin. Raises CallerLeft."""
        self._forget(asyncio.get_running_loop().time())
        line = self._lines.get(asked)
        if line is not None:
            await line.wait()

    def _forget(self, now: float) -> None:
        while self._lines:
            asked = next(iter(self._lines))
            if self._lines[asked].forgotten_at > now:
                return
            del self._lines[asked]


class _Line:
    """Requests that begin `seconds` apart, in the order in which they came."""

    def __init__(self, seconds: float) -> None:
        self.forgotten_at = 0.0
        self._seconds = seconds
        self._next_at = 0.0
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._waiting and loop.time() >= self._next_at:
            self._next_at = loop.time() + self._seconds
            return
        turn = loop.create_future()
        self._waiting[turn] = None
        if self._timer is None:
            self._timer = loop.call_at(self._next_at, self._let_next_begin)
        try:
            with WhileWanted():
                await turn
        finally:
            self._waiting.pop(turn, None)

    def _let_next_begin(self) -> None:
        self._timer = None
        turn = next(iter(self._waiting), None)
        if turn is None:  # all have left
            return
        del self._waiting[turn]
        if not turn.done():
            turn.set_result(None)
        loop = asyncio.get_running_loop()
        self._next_at = loop.time() + self._seconds
        if self._waiting:
            self._timer = loop.call_at(self._next_at, self._let_next_begin)
