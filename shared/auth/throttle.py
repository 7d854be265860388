"""Slowing down who guesses passwords: failed attempts are counted per email and per address.

Counted in Redis, and in this process's memory while Redis is away: fewer are refused then, none are let through
without being counted at all. An email that nobody registered counts like any other.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.auth.errors import TooManyAttempts
from shared.config import RateLimits
from shared.idempotency.cooldown import CoolDown

_logger = logging.getLogger(__name__)

Use = Callable[[FixedWindowRateLimiter, RateLimitItem, str], Awaitable[None]]


class SignInThrottle:
    """Only failures count; a right password costs nothing."""

    def __init__(self, rules: RateLimits, redis: Redis, *, audience: str) -> None:
        self._is_enabled = rules.enabled
        self._per_email = parse(rules.login_per_email)
        self._per_address = parse(rules.login_per_address)
        self._audience = audience
        # Its signature forgets that options are handed to the client as they are.
        options: dict[str, Any] = {"connection_pool": redis.connection_pool}
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix="limits", **options)
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._cool_down = CoolDown()

    async def check(self, email: str, address: str) -> None:
        """Raises TooManyAttempts when the email or the address has failed too often lately."""
        if self._is_enabled:
            await self._for_each(_refuse_when_full, email, address)

    async def count_failure(self, email: str, address: str) -> None:
        """Remember one failed attempt."""
        if self._is_enabled:
            await self._for_each(_count, email, address)

    async def _for_each(self, use: Use, email: str, address: str) -> None:
        await self._with_counter(use, self._per_email, f"{self._audience}:email:{_digest(email)}")
        await self._with_counter(use, self._per_address, f"{self._audience}:address:{_digest(address)}")

    async def _with_counter(self, use: Use, item: RateLimitItem, name: str) -> None:
        if self._cool_down.is_over:
            try:
                await use(self._shared, item, name)
            except (RedisError, OSError, TimeoutError) as error:
                self._cool_down.start()
                _logger.warning("failed sign-ins are counted in memory: %s", type(error).__name__)
            else:
                return
        await use(self._own, item, name)


async def _count(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> None:
    await limiter.hit(item, name)


async def _refuse_when_full(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> None:
    if not await limiter.test(item, name):
        window = await limiter.get_window_stats(item, name)
        raise TooManyAttempts(retry_after=int(window.reset_time - time.time()) + 1)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
