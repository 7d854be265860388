"""What a process with signed-in callers opens once and every request uses: Postgres, Redis, hashing, tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

from redis.asyncio import Redis

from shared.audit.writing import open_trail
from shared.auth.devices import Devices
from shared.auth.passwords import Hasher
from shared.auth.second_factor import SecondFactorCheck
from shared.auth.sessions import Sessions
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Audience, Tokens
from shared.banks.number_keys import AccountNumberSettings, NumberKeys
from shared.config import (
    DatabaseSettings,
    EmailSettings,
    LimitSettings,
    PasswordSettings,
    ProxySettings,
    QuotaSettings,
    RateLimitSettings,
    TokenSettings,
)
from shared.db.settings import ReplicaSettings
from shared.idempotency.marks import Marks
from shared.ledger.group_commit import GroupCommit
from shared.quotas.counts import Counts
from shared.quotas.quotas import Quotas
from shared.quotas.sharing import open_sharing
from shared.redis.client import open_redis
from shared.redis.settings import RedisSettings
from shared.runtime.database import Database, open_database
from shared.runtime.logs import request_id
from shared.runtime.metrics_server import MetricsSettings
from shared.runtime.sampling import of_queues, sampling
from shared.runtime.serving_settings import ServingSettings
from shared.runtime.tracing import TracingSettings
from shared.transfers.overviews import Overviews
from shared.transfers.receipts import Receipts
from shared.transfers.senders import Senders
from shared.transfers.written_statements import WrittenStatements
from shared.wakeups.announcer import open_announcer
from shared.wakeups.commits import announce_commits

DRAIN_TIMEOUT_SECONDS = 10.0

_logger = logging.getLogger(__name__)


class AccountSettings(
    ServingSettings,
    MetricsSettings,
    TracingSettings,
    DatabaseSettings,
    ReplicaSettings,
    RedisSettings,
    TokenSettings,
    PasswordSettings,
    RateLimitSettings,
    ProxySettings,
    LimitSettings,
    QuotaSettings,
    EmailSettings,
    AccountNumberSettings,
):
    """What a service needs to let people sign in and move their money."""

    @property
    def public_url(self) -> str:
        """Base address at which browsers reach this app; each app has a setting of its own."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Resources(Database):
    """Everything a service with signed-in callers uses."""

    settings: AccountSettings
    audience: Audience
    redis: Redis
    marks: Marks
    number_keys: NumberKeys
    quotas: Quotas
    group_commit: GroupCommit
    hasher: Hasher
    throttle: SignInThrottle
    tokens: Tokens
    devices: Devices
    second_factor: SecondFactorCheck
    sessions: Sessions
    senders: Senders
    statements: WrittenStatements
    overviews: Overviews
    receipts: Receipts


@asynccontextmanager
async def open_resources(settings: AccountSettings, *, audience: Audience) -> AsyncIterator[Resources]:
    """Open everything, and close it in the reverse order: what was accepted is posted while the database is open, and
    the wake-ups of it are published while Redis is."""
    async with (
        open_database(settings, application_name=audience, replicas=settings) as database,
        open_trail(database.sessionmaker, request_id.get),
        open_redis(settings) as redis,
        open_announcer(redis) as announcer,
        open_sharing(counts := Counts(), redis),
    ):
        quotas = Quotas.of(counts, settings.quotas)
        announce_commits(database.sessionmaker, announcer.tell)
        group_commit = GroupCommit(database.direct_engine, announcer.tell)
        tokens = Tokens(settings, audience)
        throttle = SignInThrottle(settings.rate_limits, redis, audience=audience)
        with closing(Hasher(settings, processes=settings.processes or 1)) as hasher:
            queues = of_queues(hashes=lambda: hasher.waiting, transfers=lambda: group_commit.waiting)
            try:
                async with sampling(queues):
                    yield Resources(
                        engine=database.engine,
                        direct_engine=database.direct_engine,
                        sessionmaker=database.sessionmaker,
                        read_sessionmaker=database.read_sessionmaker,
                        lookup_sessionmaker=database.lookup_sessionmaker,
                        reads=database.reads,
                        replica=database.replica,
                        settings=settings,
                        audience=audience,
                        redis=redis,
                        marks=Marks(database.lookup_sessionmaker, quotas.keys),
                        number_keys=NumberKeys(settings.account_number_keys),
                        quotas=quotas,
                        group_commit=group_commit,
                        hasher=hasher,
                        throttle=throttle,
                        tokens=tokens,
                        devices=Devices(settings, audience),
                        second_factor=SecondFactorCheck(settings, database.sessionmaker, throttle),
                        sessions=Sessions(database.direct_engine, tokens),
                        senders=Senders(
                            database.direct_engine, settings, requires_verified_email=settings.requires_verified_email
                        ),
                        statements=WrittenStatements(database.direct_engine, database.replica),
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
