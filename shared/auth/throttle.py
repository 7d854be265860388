"""Limits on attempts: wrong passwords are counted per who tries them and from where, sign-ups per network address.

Nothing is shut for long: after many failures one more attempt is let through in each pause. What strangers do slows
down strangers, not a device on which the owner has signed in before, and not an owner who is signed in (ADR 17). An
unregistered email is counted like a registered one. IPv6 addresses are counted per /64 network, because one caller
usually has a whole network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerSecond, parse
from redis.asyncio import Redis

from shared.auth.counts import Counts
from shared.auth.errors import TooManyAttempts, TooManySignUps
from shared.auth.networks import network_of
from shared.config import RateLimits

FEW_ATTEMPTS = 2
"""What each network address has left for an email that many addresses together try passwords of."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A counter of wrong passwords. Up to `many` in its window pass freely, then one in each `pause`.

    Once `crowd` is full as well, `FEW_ATTEMPTS` pass in the window, and no more.
    """

    name: str
    many: RateLimitItem
    crowd: str | None = None

    @property
    def pause(self) -> RateLimitItem:
        """One attempt in the time that each of `many` has on average."""
        return RateLimitItemPerSecond(1, max(1, self.many.get_expiry() // self.many.amount))


Attempt = tuple[Limit, ...]
"""One password: the limits that it must pass."""


class SignInThrottle:
    """Counts wrong passwords and all sign-ups. A right password is counted only where one pause has one attempt."""

    def __init__(self, rules: RateLimits, redis: Redis, *, audience: str) -> None:
        self._is_enabled = rules.enabled
        self._per_email = parse(rules.login_per_email)
        self._per_crowd = parse(rules.login_per_email_everywhere)
        self._per_address = parse(rules.login_per_address)
        self._sign_ups_per_address = parse(rules.sign_ups_per_address)
        self._audience = audience
        self._counts = Counts(redis)
        self._sign_ups = Counts(redis)
        """Apart: sign-ups are counted before any other work, and must not push failures out of memory."""

    def by_stranger(self, email: str, address: str) -> Attempt:
        """A sign-in from a device that is not known to be the owner's."""
        network = network_of(address)
        here = Limit(self._name("email-address", f"{email} {network}"), self._per_email, self._name("email", email))
        return here, Limit(self._name("address", network), self._per_address)

    def by_device(self, device_id: UUID) -> Attempt:
        """A sign-in from a device on which this owner has signed in before."""
        return (Limit(self._name("device", str(device_id)), self._per_email),)

    def by_session(self, session_id: UUID) -> Attempt:
        """The current password, given by an owner who is signed in."""
        return (Limit(self._name("session", str(session_id)), self._per_email),)

    def by_second_factor(self, owner_id: UUID) -> Attempt:
        """A code, given with the right password. From wherever it comes: a stranger does not get this far."""
        return (Limit(self._name("second-factor", str(owner_id)), self._per_email),)

    async def check(self, attempt: Attempt) -> None:
        """Raise TooManyAttempts if the attempt would not pass now."""
        if self._is_enabled:
            for limit in attempt:
                await self._pass(limit, takes_turn=False)

    async def begin(self, attempt: Attempt) -> None:
        """Let the attempt through, right before the password is compared. Raises TooManyAttempts."""
        if self._is_enabled:
            for limit in attempt:
                await self._pass(limit, takes_turn=True)

    async def count_failure(self, attempt: Attempt) -> None:
        """Count a wrong password."""
        if self._is_enabled:
            for limit in attempt:
                await self._counts.add(limit.many, limit.name)
                await self._counts.add(limit.pause, limit.name)
                if limit.crowd is not None:
                    await self._counts.add(self._per_crowd, limit.crowd)

    async def count_sign_up(self, address: str) -> None:
        """Count one sign-up, before any other work. Raises TooManySignUps if the address signed up too often."""
        if self._is_enabled:
            item = self._sign_ups_per_address
            count = await self._sign_ups.add(item, self._name("sign-up", network_of(address)))
            if count.number > item.amount:
                raise TooManySignUps(retry_after=count.seconds_left)

    async def _pass(self, limit: Limit, *, takes_turn: bool) -> None:
        failures = await self._counts.read(limit.many, limit.name)
        if failures.number >= FEW_ATTEMPTS and await self._is_crowded(limit):
            raise TooManyAttempts(retry_after=failures.seconds_left)
        if failures.number < limit.many.amount:
            return
        pause = await self._counts.read(limit.pause, limit.name)
        if pause.number == 0 and takes_turn:
            pause = await self._counts.add(limit.pause, limit.name)
            if pause.number == 1:
                return
        if pause.number > 0:
            raise TooManyAttempts(retry_after=pause.seconds_left)

    async def _is_crowded(self, limit: Limit) -> bool:
        if limit.crowd is None:
            return False
        return (await self._counts.read(self._per_crowd, limit.crowd)).number >= self._per_crowd.amount

    def _name(self, what: str, of: str) -> str:
        return f"{self._audience}:{what}:{hashlib.sha256(of.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
