"""Publish wake-ups over Redis: "look again at this wallet". A wake-up has no content; Postgres says what changed.

Best effort: no caller waits for it, and a lost wake-up delays a page by about a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from uuid import UUID

from redis.asyncio import Redis

from shared.redis.client import REDIS_ERRORS
from shared.redis.cool_down import CoolDown

CHANNEL_PREFIX = "batua:events:"
MAX_PENDING = 5_000
BATCH = 500
PAUSE_SECONDS = 0.02
"""After each command to Redis: meanwhile the wake-ups of the next one gather."""
CLOSE_SECONDS = 1.0

# One command for all: to send a PUBLISH for each of 64 channels takes six times as much of this process.
_PUBLISH_ALL = "for _, channel in ipairs(ARGV) do redis.call('PUBLISH', channel, '') end"

_logger = logging.getLogger(__name__)


def channel_of(account_id: UUID) -> str:
    """The Redis channel of one owner, named after the id of the owner's wallet."""
    return f"{CHANNEL_PREFIX}{account_id}"


class Announcer:
    """Publishes in the background: at once when nothing was published a moment ago, otherwise together with what comes
    within PAUSE_SECONDS. Several changes of one wallet in between become one wake-up.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pending: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._cool_down = CoolDown()

    def tell(self, account_ids: Iterable[UUID]) -> None:
        """Wake the pages of these wallets. Returns at once.

        Drops what exceeds MAX_PENDING, and everything in the second after Redis failed.
        """
        if self._is_closed or not self._cool_down.is_over:
            return
        self._pending.update(islice(account_ids, MAX_PENDING - len(self._pending)))
        if self._task is None and self._pending:
            self._task = asyncio.create_task(self._publish())

    async def aclose(self) -> None:
        """Publish what is pending, for at most CLOSE_SECONDS."""
        self._is_closed = True
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=CLOSE_SECONDS)
            task.cancel()

    async def _publish(self) -> None:
        try:
            while self._pending:
                await self._publish_batch([self._pending.pop() for _ in range(min(BATCH, len(self._pending)))])
                if not self._is_closed:
                    await asyncio.sleep(PAUSE_SECONDS)
        except REDIS_ERRORS as error:
            _logger.warning("wake-ups not published, listeners poll Postgres: %s", type(error).__name__)
            self._cool_down.start()
            self._pending.clear()  # listeners poll meanwhile
        finally:
            self._task = None

    async def _publish_batch(self, account_ids: list[UUID]) -> None:
        command = ("EVAL", _PUBLISH_ALL, 0, *map(channel_of, account_ids))
        await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]  # of redis-py


@asynccontextmanager
async def open_announcer(redis: Redis) -> AsyncIterator[Announcer]:
    """An announcer that publishes what is left before it closes. Close Redis after it."""
    announcer = Announcer(redis)
    try:
        yield announcer
    finally:
        await announcer.aclose()
