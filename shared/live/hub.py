"""Who listens in this process, and how they are woken: by Redis at once, by a look at Postgres within a second.

One connection to Redis and one statement a second serve all listeners of the process. A wake-up says only that
something may have changed; what did is read from Postgres, so a lost or needless one does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.config import RedisSettings
from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.live.errors import StreamsExhausted, TooManyStreams
from shared.live.signals import on_termination
from shared.live.watch import fingerprints
from shared.wakeups.announcer import CHANNEL_PREFIX, channel_of

MAX_PER_OWNER = 8
MAX_STREAMS = 1000
READS_AT_ONCE = 3
"""Of the pool's connections, however many listeners are woken together."""
WATCH_SECONDS = 1.0
WATCH_TIMEOUT_SECONDS = 5.0
RECONNECT_SECONDS = 1.0
MESSAGE_SECONDS = 5.0
SUBSCRIBE_SECONDS = 0.25
CANCEL_AGAIN_SECONDS = 0.1
_EVERYBODY = f"{CHANNEL_PREFIX}all"

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Listener:
    """One open stream."""

    owner_id: UUID
    account_id: UUID
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_closing: bool = False

    async def wait(self, seconds: float) -> bool:
        """Until woken; False when nothing happened for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        return True


class Hub:
    """The listeners of one process. Open it with `open_hub`."""

    def __init__(self, redis: Redis, asking_sessionmaker: SessionMaker) -> None:
        self._redis = redis
        self._asking_sessionmaker = asking_sessionmaker
        self._listeners: dict[UUID, set[Listener]] = {}
        """By wallet."""
        self.count = 0
        """Streams open now."""
        self._pubsub: PubSub | None = None
        self._is_closed = False
        self.reading = asyncio.Semaphore(READS_AT_ONCE)

    async def join(self, owner_id: UUID, account_id: UUID) -> Listener:
        """A new listener for the owner of this wallet. Raises TooManyStreams, StreamsExhausted."""
        if self._is_closed or self.count >= MAX_STREAMS:
            raise StreamsExhausted
        others = self._listeners.setdefault(account_id, set())
        if len(others) >= MAX_PER_OWNER:
            raise TooManyStreams(MAX_PER_OWNER)
        listener = Listener(owner_id, account_id)
        others.add(listener)
        self.count += 1
        try:
            if len(others) == 1:
                await self._subscribe(channel_of(account_id))
        except BaseException:
            self._remove(listener)
            raise
        return listener

    async def leave(self, listener: Listener) -> None:
        """The stream is over."""
        if self._remove(listener) and self._pubsub is not None:
            await self._quietly(self._pubsub, "unsubscribe", channel_of(listener.account_id))

    def close_streams(self) -> None:
        """End every stream now and open none any more: the process is about to stop."""
        self._is_closed = True
        for listener in self._everybody():
            listener.is_closing = True
            listener.woken.set()

    async def listen(self) -> None:
        """Hear from Redis until cancelled; whatever becomes of the connection, there will be another."""
        is_away = False
        while not self._is_closed:
            try:
                await self._hear()
            except (RedisError, OSError, TimeoutError) as error:
                if not is_away:
                    _logger.warning("no wake-up calls from Redis, looking every second: %s", type(error).__name__)
                is_away = True
            else:
                is_away = False
            self._pubsub = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def watch(self) -> None:
        """Look in Postgres, until cancelled, whether something changed that nobody announced."""
        seen: Mapping[UUID, str] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            by_owner = {each.owner_id: each.account_id for each in self._everybody()}
            if not by_owner:
                continue
            try:
                async with asyncio.timeout(WATCH_TIMEOUT_SECONDS), self._asking_sessionmaker() as session:
                    present = await fingerprints(session, list(by_owner))
            except Exception as error:
                if not is_outage(error):
                    _logger.error("listeners cannot be looked after", exc_info=error)
                continue
            for owner_id, fingerprint in present.items():
                if seen.get(owner_id) != fingerprint:
                    self._wake(by_owner[owner_id])
            seen = present

    async def _hear(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(_EVERYBODY)
            self._pubsub = pubsub  # from here on, who joins subscribes
            if self._listeners:
                await pubsub.subscribe(*map(channel_of, self._listeners))
            for listener in self._everybody():  # what was announced meanwhile was not heard
                listener.woken.set()
            while not self._is_closed:
                message = await pubsub.get_message(timeout=MESSAGE_SECONDS)
                if message is not None:
                    channel = message["channel"].decode()
                    if channel != _EVERYBODY:
                        self._wake(UUID(channel.removeprefix(CHANNEL_PREFIX)))

    async def _subscribe(self, channel: str) -> None:
        if self._pubsub is not None:
            await self._quietly(self._pubsub, "subscribe", channel)

    async def _quietly(self, pubsub: PubSub, command: str, channel: str) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await getattr(pubsub, command)(channel)
        except (RedisError, OSError, TimeoutError) as error:
            _logger.warning("Redis did not take %s: %s", command, type(error).__name__)

    def _wake(self, account_id: UUID) -> None:
        for listener in self._listeners.get(account_id, ()):
            listener.woken.set()

    def _everybody(self) -> list[Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners]

    def _remove(self, listener: Listener) -> bool:
        """Whether the wallet has no listener left."""
        others = self._listeners.get(listener.account_id, set())
        if listener not in others:
            return False
        others.discard(listener)
        self.count -= 1
        if others:
            return False
        del self._listeners[listener.account_id]
        return True


@asynccontextmanager
async def open_hub(settings: RedisSettings, asking_sessionmaker: SessionMaker) -> AsyncIterator[Hub]:
    """A hub that hears, and ends its streams as soon as the process is told to stop."""
    timeout = settings.redis_timeout_seconds
    pool = ConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=1,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )
    redis = Redis(connection_pool=pool)
    hub = Hub(redis, asking_sessionmaker)
    tasks = [asyncio.create_task(hub.listen()), asyncio.create_task(hub.watch())]
    try:
        with on_termination(hub.close_streams):
            yield hub
    finally:
        hub.close_streams()
        await _stop(tasks)
        await redis.aclose()
        await pool.disconnect()


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until they are over: the Redis client loses a cancellation that meets an answer."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
