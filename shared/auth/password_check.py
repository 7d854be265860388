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
    """Whether the password has this hash; a wrong one is counted. Raises TooManyAttempts, HashingBusy."""
    form = await matching_form(password, password_hash, hasher=hasher, throttle=throttle, email=email, address=address)
    return form is not None


async def matching_form(
    password: str,
    password_hash: str | None,
    *,
    hasher: Hasher,
    throttle: SignInThrottle,
    email: str,
    address: str,
) -> str | None:
    """The form of the password that has this hash, see HashingCore; None for a wrong one, which is counted.

    Raises TooManyAttempts, HashingBusy. The count is read again once a core is free: of many attempts at once, those
    that waited see the failures of those before them.
    """
    await throttle.check(email, address)
    async with hasher.core() as core:
        await throttle.check(email, address)
        form = await core.matching_form(password, password_hash)
        if form is None:
            await throttle.count_failure(email, address)
    return form
