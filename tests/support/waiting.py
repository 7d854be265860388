"""Wait for what must come: ask again and again, until it is so or a deadline has passed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import text

from shared import clock
from shared.db.engine import SessionMaker
from tests.support.deadlines import ENOUGH_SECONDS, patience

T = TypeVar("T")
PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.1
"""To ask a stack costs it CPU, and the test too: what has not come for a second is asked for less often."""


def eventually(
    ask: Callable[[], T | None], what: str = "what the test waits for", seconds: float = ENOUGH_SECONDS
) -> T:
    """The first true answer. AssertionError if none came within these seconds of the reference machine."""
    began, allowed = time.monotonic(), patience(seconds)
    while not (answer := ask()):
        waited = time.monotonic() - began
        assert waited < allowed, f"not in time: {what}"
        time.sleep(_pause(waited))
    return answer


async def eventually_async(
    ask: Callable[[], Awaitable[T | None]], what: str = "what the test waits for", seconds: float = ENOUGH_SECONDS
) -> T:
    """The same for a question that is awaited."""
    began, allowed = time.monotonic(), patience(seconds)
    while not (answer := await ask()):
        waited = time.monotonic() - began
        assert waited < allowed, f"not in time: {what}"
        await asyncio.sleep(_pause(waited))
    return answer


def _pause(waited_seconds: float) -> float:
    """A tenth of what was waited for, within bounds: no wait becomes much longer by it."""
    return min(max(PAUSE_SECONDS, waited_seconds / 10), LONGEST_PAUSE_SECONDS)


async def until_a_lock_is_awaited(sessionmaker: SessionMaker, *, by: int = 1) -> None:
    """Wait until this many sessions on this database wait for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def is_awaited() -> bool:
        async with sessionmaker() as session:
            return (await session.scalar(waiting) or 0) >= by

    await eventually_async(is_awaited, "a session waits for a lock")


def until_far_from_midnight(timezone: str = "Asia/Kolkata") -> None:
    """If the day ends within a minute, wait for the next: a test cannot hold the clock of a whole stack."""
    zone, minute = ZoneInfo(timezone), timedelta(seconds=patience(60))

    def is_far() -> bool:
        local = clock.now().astimezone(zone)
        return (local + minute).date() == local.date()

    eventually(is_far, "the next day begins", seconds=120)
