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

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.config import RedisSettings

CHANNEL_PREFIX = "batua:events:"
MAX_PENDING = 5_000
BATCH = 500
COOL_DOWN_SECONDS = 1.0
CLOSE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


def channel_of(account_id: UUID) -> str:
    """The Redis channel of one owner, named after the id of the owner's wallet."""
    return f"{CHANNEL_PREFIX}{account_id}"


class Announcer:
    """Publishes in the background. Several changes of one wallet in between become one wake-up."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._pending: set[UUID] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def tell(self, account_ids: Iterable[UUID]) -> None:
        """Wake the pages of these wallets. Returns at once; drops what exceeds MAX_PENDING."""
        if self._is_closed:
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
                batch = [self._pending.pop() for _ in range(min(BATCH, len(self._pending)))]
                try:
                    await self._publish_batch(batch)
                except (RedisError, OSError, TimeoutError) as error:
                    _logger.warning("wake-ups not published, listeners poll Postgres: %s", type(error).__name__)
                    await asyncio.sleep(COOL_DOWN_SECONDS)
                    self._pending.clear()  # listeners have polled by now
        finally:
            self._task = None

    async def _publish_batch(self, account_ids: list[UUID]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for account_id in account_ids:
                pipeline.publish(channel_of(account_id), "")
            await pipeline.execute()


@asynccontextmanager
async def open_announcer(settings: RedisSettings) -> AsyncIterator[Announcer]:
    """Open an announcer with its own connection, for a process without another asyncio Redis client."""
    timeout = settings.redis_timeout_seconds
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=1,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    redis = Redis(connection_pool=pool)
    announcer = Announcer(redis)
    try:
        yield announcer
    finally:
        await announcer.aclose()
        await redis.aclose()
        await pool.disconnect()
