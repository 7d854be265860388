"""The open streams of this process, and what wakes them: Redis at once, or a look at Postgres within a second.

One connection to Redis and one statement a second serve all listeners of the process. A wake-up says only that
something may have changed; each listener reads from Postgres what did. So a lost or needless wake-up does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.live.errors import StreamsExhausted, TooManyStreams
from shared.live.watch import change_marks
from shared.redis.client import REDIS_ERRORS, open_redis
from shared.redis.settings import RedisSettings
from shared.termination import on_termination
from shared.wakeups.announcer import CHANNEL_PREFIX, channel_of

MAX_PER_OWNER = 8
MAX_STREAMS = 1000
READS_AT_ONCE = 3
"""How many listeners may read from Postgres at the same time; the other connections are left to requests."""
WATCH_SECONDS = 1.0
WATCH_TIMEOUT_SECONDS = 5.0
RECONNECT_SECONDS = 1.0
MESSAGE_SECONDS = 5.0
SUBSCRIBE_SECONDS = 0.25
CANCEL_AGAIN_SECONDS = 0.1
_UNUSED_CHANNEL = f"{CHANNEL_PREFIX}all"
"""Nothing is published here. It keeps the connection subscribed while no stream is open."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Listener:
    """One open stream."""

    owner_id: UUID
    account_id: UUID
    reading: asyncio.Lock
    """Held while one of the owner's streams reads, so that many that are opened or woken at once read in turn."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_closing: bool = False

    async def wait(self, seconds: float) -> bool:
        """Return True when woken, False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return False
        return True


class Hub:
    """The listeners of one process. Use `open_hub`."""

    def __init__(self, redis: Redis, lookup_sessionmaker: SessionMaker) -> None:
        self._redis = redis
        self._lookup_sessionmaker = lookup_sessionmaker
        self._listeners: dict[UUID, set[Listener]] = {}
        """By the account id of the wallet."""
        self.count = 0
        """Streams open now."""
        self._pubsub: PubSub | None = None
        self._is_closed = False
        self.read_slots = asyncio.Semaphore(READS_AT_ONCE)

    async def join(self, owner_id: UUID, account_id: UUID) -> Listener:
        """A new listener for the owner of this wallet. Raises TooManyStreams, StreamsExhausted."""
        if self._is_closed or self.count >= MAX_STREAMS:
            raise StreamsExhausted
        others = self._listeners.setdefault(account_id, set())
        if len(others) >= MAX_PER_OWNER:
            raise TooManyStreams(MAX_PER_OWNER)
        reading = next(iter(others)).reading if others else asyncio.Lock()
        listener = Listener(owner_id, account_id, reading)
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
        """Call it when the stream has ended."""
        if self._remove(listener) and self._pubsub is not None:
            await self._try(self._pubsub, "unsubscribe", channel_of(listener.account_id))

    def count_of(self, listener: Listener) -> int:
        """How many streams the owner of this one has open in this process, itself included."""
        return len(self._listeners.get(listener.account_id, ())) or 1

    def close_streams(self) -> None:
        """End every stream and open no more: the process is about to stop."""
        self._is_closed = True
        for listener in self._all():
            listener.is_closing = True
            listener.woken.set()

    async def listen(self) -> None:
        """Pass wake-ups from Redis on until cancelled, with a new connection after each failure."""
        is_away = False
        while not self._is_closed:
            try:
                await self._receive()
            except REDIS_ERRORS as error:
                if not is_away:
                    _logger.warning(
                        "no wake-ups from Redis, changes arrive within a second from Postgres alone: %s",
                        type(error).__name__,
                    )
                is_away = True
            else:
                is_away = False
            self._pubsub = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def watch(self) -> None:
        """Wake the owners for whom something changed in Postgres, whether or not a wake-up was published."""
        seen: Mapping[UUID, str] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            by_owner = {each.owner_id: each.account_id for each in self._all()}
            if not by_owner:
                continue
            try:
                async with asyncio.timeout(WATCH_TIMEOUT_SECONDS), self._lookup_sessionmaker() as session:
                    present = await change_marks(session, list(by_owner))
            except Exception as error:
                if not is_outage(error):
                    _logger.error("changes in Postgres cannot be watched", exc_info=error)
                continue
            for owner_id, change_mark in present.items():
                if seen.get(owner_id) != change_mark:
                    self._wake(by_owner[owner_id])
            seen = present

    async def _receive(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(_UNUSED_CHANNEL)
            self._pubsub = pubsub  # from here on, a listener that joins subscribes itself
            if self._listeners:
                await pubsub.subscribe(*map(channel_of, self._listeners))
            for listener in self._all():  # wake-ups published until now were missed
                listener.woken.set()
            while not self._is_closed:
                message = await pubsub.get_message(timeout=MESSAGE_SECONDS)
                if message is not None:
                    channel = message["channel"].decode()
                    if channel != _UNUSED_CHANNEL:
                        self._wake(UUID(channel.removeprefix(CHANNEL_PREFIX)))

    async def _subscribe(self, channel: str) -> None:
        if self._pubsub is not None:
            await self._try(self._pubsub, "subscribe", channel)

    async def _try(self, pubsub: PubSub, command: str, channel: str) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_SECONDS):
                await getattr(pubsub, command)(channel)
        except REDIS_ERRORS as error:
            _logger.warning("%s failed in Redis: %s", command, type(error).__name__)

    def _wake(self, account_id: UUID) -> None:
        for listener in self._listeners.get(account_id, ()):
            listener.woken.set()

    def _all(self) -> list[Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners]

    def _remove(self, listener: Listener) -> bool:
        """Forget the listener. True when it was the last one of its wallet."""
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
async def open_hub(settings: RedisSettings, lookup_sessionmaker: SessionMaker) -> AsyncIterator[Hub]:
    """A hub at work. It ends its streams as soon as the process is told to stop."""
    async with open_redis(settings, max_connections=1) as redis:
        hub = Hub(redis, lookup_sessionmaker)
        tasks = [asyncio.create_task(hub.listen()), asyncio.create_task(hub.watch())]
        try:
            with on_termination(hub.close_streams):
                yield hub
        finally:
            hub.close_streams()
            await _stop(tasks)


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel again and again: the Redis client drops a cancellation that comes together with an answer."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
