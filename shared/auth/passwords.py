"""Hashing with bcrypt: in threads, off the event loop, at most one hash per core at a time.

Processes that share a port share the cores out among them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import bcrypt

from shared.auth.errors import HashingBusy
from shared.config import PasswordSettings
from shared.spelling import opaque

MAX_WAITING = 512
"""How many hashes may wait for a core."""
_DIGEST_LENGTH = 31
_READ_BY_BCRYPT = 72
"""Bytes. bcrypt rejects more, so of a longer password it gets a digest."""

Result = TypeVar("Result")


class Hasher:
    """Hashes and compares passwords and PINs. A password is hashed as RFC 8265 prepares it (OpaqueString), so that it
    is the same however a keyboard spells it.
    """

    def __init__(self, settings: PasswordSettings, *, processes: int = 1) -> None:
        self._rounds = settings.bcrypt_rounds
        self._pepper = settings.pin_pepper.get_secret_value().encode()
        threads = max(1, (os.cpu_count() or 1) // processes)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._cores = asyncio.Semaphore(threads)
        self._waiting = 0
        # A well-formed hash that no password has. Comparing with it costs as much as with a real one.
        self._no_hash = (bcrypt.gensalt(self._rounds) + b"." * _DIGEST_LENGTH).decode()

    @asynccontextmanager
    async def core(self) -> AsyncIterator[HashingCore]:
        """Wait for a core to hash on. Raises HashingBusy if MAX_WAITING others wait already.

        What the caller reads inside the block is at most one hash old, however long it waited for the core.
        """
        if self._waiting >= MAX_WAITING:
            raise HashingBusy
        self._waiting += 1
        try:
            await self._cores.acquire()
        finally:
            self._waiting -= 1
        try:
            yield HashingCore(self)
        finally:
            self._cores.release()

    async def hash_password(self, password: str) -> str:
        """The bcrypt hash to store. Raises HashingBusy."""
        async with self.core():
            secret = _secret(opaque(password))
            return await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)).decode())

    async def hash_pin(self, pin: str) -> str:
        """The bcrypt hash to store of the peppered PIN: without the pepper, a stolen hash does not lead to the PIN."""
        return await self.hash_password(self.peppered(pin))

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN has this hash. Raises HashingBusy."""
        async with self.core() as core:
            return await core.verify_pin(pin, pin_hash)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def compare(self, password: str, password_hash: str | None) -> bool:
        """For HashingCore: whether these characters have this hash. False after the same work if there is no hash."""
        given, stored = _secret(password), (password_hash or self._no_hash).encode()
        matches = await self._run(lambda: bcrypt.checkpw(given, stored))
        return matches and password_hash is not None

    def peppered(self, pin: str) -> str:
        """For HashingCore: the keyed hash of the PIN, which bcrypt hashes again."""
        return hmac.new(self._pepper, pin.encode(), hashlib.sha256).hexdigest()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class HashingCore:
    """One core, held until the block of `Hasher.core` ends."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher

    async def matching_form(self, password: str, password_hash: str | None) -> str | None:
        """The form of the password that has this hash: as it is prepared, or as it was typed, which is how it was
        hashed before passwords were prepared. None, after the same work, if neither has it or there is no hash.

        The second form costs a second comparison, and only when it differs from the first.
        """
        for form in dict.fromkeys((opaque(password), password)):
            if await self._hasher.compare(form, password_hash):
                return form
        return None

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether a form of the password has this hash. False after the same work if there is no hash."""
        return await self.matching_form(password, password_hash) is not None

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN has this hash."""
        return await self._hasher.compare(self._hasher.peppered(pin), pin_hash)


def _secret(password: str) -> bytes:
    # JSON can carry half of a surrogate pair. No stored password has one, so it is a wrong password.
    given = password.encode("utf-8", "surrogatepass")
    if len(given) <= _READ_BY_BCRYPT:
        return given
    return base64.b64encode(hashlib.sha256(given).digest())
