"""Counts of attempts, in Redis and in this process at once: the larger of the two is believed.

Redis counts for all processes, and may be away, refuse writes or be emptied. Then each process still has its own count,
so that a limit becomes looser and is never off.
"""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

from limits import RateLimitItem
from limits.aio.storage import RedisStorage
from redis.asyncio import Redis

from shared.redis.client import REDIS_ERRORS
from shared.redis.cool_down import CoolDown

_logger = logging.getLogger(__name__)

MAX_COUNTERS = 20_000
"""Counters in the memory of one process, about 200 bytes each. At the limit the oldest makes room."""


class Count(NamedTuple):
    """How often something has happened within a window, and when the window ends, in seconds since 1970."""

    number: int
    ends_at: float

    @property
    def seconds_left(self) -> int:
        """Until the window ends, rounded up."""
        return int(self.ends_at - time.time()) + 1


class Counts:
    """Counters by name; the window of each begins with the first event that is added."""

    def __init__(self, redis: Redis) -> None:
        # The type of RedisStorage leaves out the options that it passes on to the client.
        options: dict[str, Any] = {"connection_pool": redis.connection_pool}
        self._redis = RedisStorage("async+redis://", implementation="redispy", key_prefix="limits", **options)
        self._memory = CountsInMemory()
        self._cool_down = CoolDown()

    async def add(self, item: RateLimitItem, name: str) -> Count:
        """Count one event; the count with it."""
        return await self._larger(item, name, self._memory.add(item, name), adds=True)

    async def read(self, item: RateLimitItem, name: str) -> Count:
        """The count as it is."""
        return await self._larger(item, name, self._memory.read(item, name), adds=False)

    async def _larger(self, item: RateLimitItem, name: str, own: Count, *, adds: bool) -> Count:
        if not self._cool_down.is_over:
            return own
        key = item.key_for(name)
        try:
            number = await (self._redis.incr(key, item.get_expiry()) if adds else self._redis.get(key))
            if number == 0 or number < own.number:
                return own
            return max(own, Count(number, await self._redis.get_expiry(key)))
        except (*REDIS_ERRORS, ValueError) as error:  # ValueError: it holds no number under this name
            self._cool_down.start()
            _logger.warning("Redis does not count; attempts are counted in memory: %s", type(error).__name__)
            return own


class CountsInMemory:
    """The counters of one process."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, item: RateLimitItem, name: str) -> Count:
        """Count one event; the count with it."""
        key, found = item.key_for(name), self.read(item, name)
        if found.number == 0:
            self._counts.pop(key, None)
            self._make_room()
        count = self._counts[key] = Count(found.number + 1, found.ends_at)
        return count

    def read(self, item: RateLimitItem, name: str) -> Count:
        """The count as it is; of an event that has not happened, 0 and the end of the window that it would begin."""
        found, now = self._counts.get(item.key_for(name)), time.time()
        return found if found is not None and found.ends_at > now else Count(0, now + item.get_expiry())

    def _make_room(self) -> None:
        if len(self._counts) < MAX_COUNTERS:
            return
        now = time.time()
        self._counts = {key: count for key, count in self._counts.items() if count.ends_at > now}
        if len(self._counts) >= MAX_COUNTERS:
            del self._counts[next(iter(self._counts))]
