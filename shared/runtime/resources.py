"""What a process opens once and every request uses: engine, Redis, the group_commit, the hashing threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Audience, Tokens
from shared.config import (
    DatabaseSettings,
    LimitSettings,
    PasswordSettings,
    ProxySettings,
    RateLimitSettings,
    RedisSettings,
    TokenSettings,
)
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.idempotency.guard import Guard
from shared.ledger.group_commit import GroupCommit
from shared.live.hub import Hub, open_hub
from shared.wakeups.announcer import Announcer
from shared.wakeups.commits import announce_commits

REDIS_CONNECTIONS = 32
DRAIN_TIMEOUT_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class AccountSettings(
    DatabaseSettings, RedisSettings, TokenSettings, PasswordSettings, RateLimitSettings, ProxySettings, LimitSettings
):
    """What a service needs to let people sign in and move their money."""


@dataclass(frozen=True, slots=True)
class Database:
    """The engine and its sessions: `sessionmaker` writes, `read_sessionmaker` is refused any write by Postgres."""

    engine: AsyncEngine
    sessionmaker: SessionMaker
    read_sessionmaker: SessionMaker


@dataclass(frozen=True, slots=True)
class Resources(Database):
    """Everything a service with signed-in callers uses."""

    settings: AccountSettings
    audience: Audience
    asking_sessionmaker: SessionMaker
    """For a single statement: no transaction around it, so half the round trips."""
    redis: Redis
    guard: Guard
    group_commit: GroupCommit
    hasher: Hasher
    throttle: SignInThrottle
    tokens: Tokens
    hub: Hub
    """Who is listening for events in this process."""


@asynccontextmanager
async def open_database(settings: DatabaseSettings, *, application_name: str) -> AsyncIterator[Database]:
    """Engine and sessions for one process; nothing is connected until the first statement."""
    engine = create_engine(settings, application_name=application_name)
    reading = engine.execution_options(postgresql_readonly=True)
    try:
        yield Database(engine, create_sessionmaker(engine), create_sessionmaker(reading))
    finally:
        await engine.dispose()


def create_redis(settings: RedisSettings) -> Redis:
    """A client that gives up after `redis_timeout_seconds` and never tries twice: its users do without it."""
    timeout = settings.redis_timeout_seconds
    pool = BlockingConnectionPool.from_url(
        settings.redis_url.get_secret_value(),
        max_connections=REDIS_CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


@asynccontextmanager
async def open_resources(settings: AccountSettings, *, audience: Audience) -> AsyncIterator[Resources]:
    """Open everything, and close it in an order that loses nothing: streams first, then the group_commit while it has
    a database."""
    async with open_database(settings, application_name=audience) as database:
        redis = create_redis(settings)
        hasher = Hasher(settings)
        group_commit = GroupCommit(database.sessionmaker)
        announcer = Announcer(redis)
        announce_commits(database.sessionmaker, announcer.tell)
        asking = create_sessionmaker(database.engine.execution_options(isolation_level="AUTOCOMMIT"))
        try:
            async with open_hub(settings, asking) as hub:
                yield Resources(
                    engine=database.engine,
                    sessionmaker=database.sessionmaker,
                    read_sessionmaker=database.read_sessionmaker,
                    settings=settings,
                    audience=audience,
                    asking_sessionmaker=asking,
                    redis=redis,
                    guard=Guard(redis),
                    group_commit=group_commit,
                    hasher=hasher,
                    throttle=SignInThrottle(settings.rate_limits, redis, audience=audience),
                    tokens=Tokens(settings, audience),
                    hub=hub,
                )
        finally:
            await _drain(group_commit)
            await announcer.aclose()
            hasher.close()
            await redis.aclose()
            await redis.connection_pool.disconnect()


async def _drain(group_commit: GroupCommit) -> None:
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_SECONDS):
            await group_commit.close()
    except TimeoutError:
        _logger.warning(
            "the group_commit was not drained within %.0f s; its keys tell what was posted", DRAIN_TIMEOUT_SECONDS
        )
