"""Comparing a password with an owner's, within the limits on failed attempts."""

from __future__ import annotations

from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle


async def is_password_right(
    password: str,
    password_hash: str | None,
    *,
    hasher: Hasher,
    throttle: SignInThrottle,
    email: str,
    address: str,
) -> bool:
    """Whether the password has this hash; a wrong one is counted. Raises TooManyAttempts, HashingBusy.

    The count is read again once a core is free: of many attempts at once, those that waited see the failures of those
    before them.
    """
    await throttle.check(email, address)
    async with hasher.core() as core:
        await throttle.check(email, address)
        matches = await core.verify(password, password_hash)
        if not matches:
            await throttle.count_failure(email, address)
    return matches
