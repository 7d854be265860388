"""Comparing a password with an owner's, within the limits on failed attempts."""

from __future__ import annotations

from dataclasses import dataclass

from shared.auth.hashing_queue import Asker
from shared.auth.passwords import Hasher
from shared.auth.throttle import Attempt, SignInThrottle


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What compares one password: who asks, and as which attempt it counts."""

    hasher: Hasher
    throttle: SignInThrottle
    asker: Asker
    attempt: Attempt

    async def matching_form(self, password: str, password_hash: str | None) -> str | None:
        """The form of the password that has this hash, see HashingCore; None for a wrong one, which is counted.

        Raises TooManyAttempts, HashingBusy, CallerLeft. The count is read again once a core is free: of many attempts
        at once, those that waited see the failures of those before them.
        """
        await self.throttle.check(self.attempt)
        async with self.hasher.core(self.asker) as core:
            await self.throttle.begin(self.attempt)
            form = await core.matching_form(password, password_hash)
            if form is None:
                await self.throttle.count_failure(self.attempt)
        return form
