"""Limits on attempts: failed sign-ins are counted per email and per network address, sign-ups per network address.

The counters live in Redis. While Redis is away each process counts in its memory, so the limits are looser but never
off. An unregistered email is counted like a registered one. IPv6 addresses are counted per /64 network, because one
caller usually has a whole network.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import Redis

from shared.auth.errors import TooManyAttempts, TooManySignUps
from shared.config import RateLimits
from shared.redis.client import REDIS_ERRORS
from shared.redis.cool_down import CoolDown

_logger = logging.getLogger(__name__)

IPV6_PREFIX = 64

UseOfCounter = Callable[[FixedWindowRateLimiter, RateLimitItem, str], Awaitable[None]]


class SignInThrottle:
    """Counts failed sign-ins and all sign-ups. A sign-in with the right password is not counted."""

    def __init__(self, rules: RateLimits, redis: Redis, *, audience: str) -> None:
        self._is_enabled = rules.enabled
        self._per_email = parse(rules.login_per_email)
        self._per_address = parse(rules.login_per_address)
        self._sign_ups_per_address = parse(rules.sign_ups_per_address)
        self._audience = audience
        # The type of RedisStorage leaves out the options that it passes on to the client.
        options: dict[str, Any] = {"connection_pool": redis.connection_pool}
        storage = RedisStorage("async+redis://", implementation="redispy", key_prefix="limits", **options)
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._cool_down = CoolDown()

    async def check(self, email: str, address: str) -> None:
        """Raise TooManyAttempts if the email or the address has failed too often within the window."""
        if self._is_enabled:
            await self._for_each(_raise_if_full, email, address)

    async def count_failure(self, email: str, address: str) -> None:
        """Count one failed attempt."""
        if self._is_enabled:
            await self._for_each(_count, email, address)

    async def count_sign_up(self, address: str) -> None:
        """Count one sign-up, before any other work. Raises TooManySignUps if the address signed up too often."""
        if self._is_enabled:
            name = f"{self._audience}:sign-up:{_digest(_network_of(address))}"
            await self._with_counter(_count_or_raise, self._sign_ups_per_address, name)

    async def _for_each(self, use: UseOfCounter, email: str, address: str) -> None:
        await self._with_counter(use, self._per_email, f"{self._audience}:email:{_digest(email)}")
        await self._with_counter(use, self._per_address, f"{self._audience}:address:{_digest(_network_of(address))}")

    async def _with_counter(self, use: UseOfCounter, item: RateLimitItem, name: str) -> None:
        if self._cool_down.is_over:
            try:
                await use(self._shared, item, name)
            except REDIS_ERRORS as error:
                self._cool_down.start()
                _logger.warning("Redis is away; sign-ins and sign-ups are counted in memory: %s", type(error).__name__)
            else:
                return
        await use(self._own, item, name)


async def _count(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> None:
    await limiter.hit(item, name)


async def _raise_if_full(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> None:
    if not await limiter.test(item, name):
        raise TooManyAttempts(retry_after=await _seconds_left(limiter, item, name))


async def _count_or_raise(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> None:
    if not await limiter.hit(item, name):
        raise TooManySignUps(retry_after=await _seconds_left(limiter, item, name))


async def _seconds_left(limiter: FixedWindowRateLimiter, item: RateLimitItem, name: str) -> int:
    window = await limiter.get_window_stats(item, name)
    return int(window.reset_time - time.time()) + 1


def _network_of(address: str) -> str:
    """What one counter stands for: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((parsed, IPV6_PREFIX), strict=False)) if isinstance(parsed, IPv6Address) else address


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
