"""A refusal of one request too many (429) is sent a moment late.

A refusal costs us CPU, too, and a caller may ask again at once, on many connections. With the delay, each connection
gets one refusal per delay. A caller who waits as long as `Retry-After` says hardly notices it.
"""

from __future__ import annotations

import asyncio

ONE_TOO_MANY = "is_one_too_many"
"""In the state of a request: its refusal is no 429, because a page leads back to the form."""
MOST_AT_ONCE = 1000
"""Refusals of one process that wait. Each costs an open connection and a few kB; one more is sent without delay."""


class SlowedRefusals:
    """The refusals of one process that wait, for `seconds` each. 0 sends each at once."""

    __slots__ = ("_seconds", "_waiting")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting = 0

    async def wait(self) -> None:
        """Return when the refusal may be sent."""
        if self._seconds == 0 or self._waiting >= MOST_AT_ONCE:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._waiting -= 1
