"""What a process with signed-in callers opens once and every request uses: Postgres, Redis, hashing, tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from redis.asyncio import Redis

from shared.auth.passwords import Hasher
from shared.auth.sessions import Sessions
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Audience, Tokens
from shared.config import (
    DatabaseSettings,
    LimitSettings,
    PasswordSettings,
    ProxySettings,
    RateLimitSettings,
    RedisSettings,
    ServingSettings,
    TokenSettings,
)
from shared.idempotency.marks import Marks
from shared.ledger.group_commit import GroupCommit
from shared.redis.client import open_redis
from shared.runtime.database import Database, open_database
from shared.transfers.overviews import Overviews
from shared.transfers.receipts import Receipts
from shared.transfers.senders import Senders
from shared.transfers.statement_lines import Statements
from shared.wakeups.announcer import open_announcer
from shared.wakeups.commits import announce_commits

DRAIN_TIMEOUT_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class AccountSettings(
    ServingSettings,
    DatabaseSettings,
    RedisSettings,
    TokenSettings,
    PasswordSettings,
    RateLimitSettings,
    ProxySettings,
    LimitSettings,
):
    """What a service needs to let people sign in and move their money."""


@dataclass(frozen=True, slots=True)
class Resources(Database):
    """Everything a service with signed-in callers uses."""

    settings: AccountSettings
    audience: Audience
    redis: Redis
    marks: Marks
    group_commit: GroupCommit
    hasher: Hasher
    throttle: SignInThrottle
    tokens: Tokens
    sessions: Sessions
    senders: Senders
    statements: Statements
    overviews: Overviews
    receipts: Receipts


@asynccontextmanager
async def open_resources(settings: AccountSettings, *, audience: Audience) -> AsyncIterator[Resources]:
    """Open everything, and close it in the reverse order: what was accepted is posted while the database is open, and
    the wake-ups of it are published while Redis is."""
    async with (
        open_database(settings, application_name=audience) as database,
        open_redis(settings) as redis,
        open_announcer(redis) as announcer,
    ):
        announce_commits(database.sessionmaker, announcer.tell)
        group_commit = GroupCommit(database.direct_engine, announcer.tell)
        tokens = Tokens(settings, audience)
        with closing(Hasher(settings, processes=settings.processes or 1)) as hasher:
            try:
                yield Resources(
                    engine=database.engine,
                    direct_engine=database.direct_engine,
                    sessionmaker=database.sessionmaker,
                    read_sessionmaker=database.read_sessionmaker,
                    lookup_sessionmaker=database.lookup_sessionmaker,
                    reads=database.reads,
                    settings=settings,
                    audience=audience,
                    redis=redis,
                    marks=Marks(database.lookup_sessionmaker),
                    group_commit=group_commit,
                    hasher=hasher,
                    throttle=SignInThrottle(settings.rate_limits, redis, audience=audience),
                    tokens=tokens,
                    sessions=Sessions(database.direct_engine, tokens),
                    senders=Senders(database.direct_engine, settings),
                    statements=Statements(database.direct_engine),
                    overviews=Overviews(database.direct_engine),
                    receipts=Receipts(database.direct_engine),
                )
            finally:
                await _drain(group_commit)


async def _drain(group_commit: GroupCommit) -> None:
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_SECONDS):
            await group_commit.close()
    except TimeoutError:
        _logger.warning(
            "transfers were still being posted %.0f s after the stop; their idempotency keys tell which were posted",
            DRAIN_TIMEOUT_SECONDS,
        )
