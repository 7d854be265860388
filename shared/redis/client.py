"""The one way to reach Redis, alone or behind Sentinel: every wait has an end, and no command is repeated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.addresses import Servers, read_servers
from shared.redis.settings import RedisSettings

MAX_CONNECTIONS = 32
REDIS_ERRORS = (RedisError, OSError)
"""Everything that a command raises when Redis is away, slow or unwilling; a TimeoutError is an OSError."""


@asynccontextmanager
async def open_redis(
    settings: RedisSettings, *, url: str | None = None, max_connections: int = MAX_CONNECTIONS
) -> AsyncIterator[Redis]:
    """A client that closes its connections at the end. Nothing connects before the first command. `url` names another
    server than that of wake-ups and counts.

    Connecting, the answer to a command and the wait for a free connection may each take `redis_timeout_seconds`;
    then the command raises one of REDIS_ERRORS. Callers continue without Redis.
    """
    url, seconds = url or settings.redis_url.get_secret_value(), settings.redis_timeout_seconds
    socket: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "socket_keepalive": True}
    options = {**socket, "max_connections": max_connections, "timeout": seconds, "retry": Retry(NoBackoff(), 0)}
    async with AsyncExitStack() as stack:
        servers = read_servers(url)
        if servers.is_sentinel:
            pool: ConnectionPool = await _of_master(stack, servers, socket, options)
        else:
            pool = BlockingConnectionPool.from_url(url, **options)
        redis = Redis.from_pool(pool)
        stack.push_async_callback(redis.aclose)
        yield redis


class _BlockingMasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the master, for which callers wait."""


async def _of_master(
    stack: AsyncExitStack, servers: Servers, socket: Mapping[str, Any], options: Mapping[str, Any]
) -> ConnectionPool:
    """Connections to the server that Sentinels call the master whenever a connection is opened."""
    tls = {"ssl": True, "ssl_cert_reqs": "required"} if servers.is_encrypted else {}
    asked = {**socket, **tls, "password": servers.words.get("sentinel_password"), "retry": Retry(NoBackoff(), 0)}
    sentinel = Sentinel(servers.named, sentinel_kwargs=asked)  # type: ignore[no-untyped-call]
    for each in sentinel.sentinels:
        stack.push_async_callback(each.aclose)
    account = {"username": servers.user, "password": servers.password, "db": int(servers.place or 0)}
    return _BlockingMasterPool(servers.words["master"], sentinel, **account, **tls, **options)  # type: ignore[no-untyped-call]
