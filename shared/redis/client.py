"""The one way to reach Redis: every wait has an end, and no command is repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.config import RedisSettings

MAX_CONNECTIONS = 32
REDIS_ERRORS = (RedisError, OSError)
"""Everything that a command raises when Redis is away, slow or unwilling; a TimeoutError is an OSError."""


@asynccontextmanager
async def open_redis(settings: RedisSettings, *, max_connections: int = MAX_CONNECTIONS) -> AsyncIterator[Redis]:
    """A client that closes its connections at the end. Nothing connects before the first command.

    Connecting, the answer to a command and the wait for a free connection may each take `redis_timeout_seconds`;
    then the command raises one of REDIS_ERRORS. Callers continue without Redis.
    """
    timeout_seconds = settings.redis_timeout_seconds
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=max_connections,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )
    redis = Redis.from_pool(pool)
    try:
        yield redis
    finally:
        await redis.aclose()
