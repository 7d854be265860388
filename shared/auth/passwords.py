"""bcrypt, off the event loop and never more at once than there are cores."""

from __future__ import annotations

import asyncio
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

MAX_WAITING = 512
MAX_BYTES = 72
"""What bcrypt reads; it refuses more."""
_DIGEST_LENGTH = 31

Result = TypeVar("Result")


class Hasher:
    """Hashes and checks passwords and PINs. Strings are at most 72 bytes (checked where they come in)."""

    def __init__(self, settings: PasswordSettings) -> None:
        self._rounds = settings.bcrypt_rounds
        self._pepper = settings.pin_pepper.get_secret_value().encode()
        threads = max(1, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")
        self._turns = asyncio.Semaphore(threads)
        self._waiting = 0
        # A well-formed hash of nothing: comparing with it costs as much as with a real one.
        self._nobody = (bcrypt.gensalt(self._rounds) + b"." * _DIGEST_LENGTH).decode()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """A core to hash on. What is looked at inside is at most a few hashes old, however many wait outside.

        Raises HashingBusy when too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise HashingBusy
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield Turn(self)
        finally:
            self._turns.release()

    async def hash_password(self, password: str) -> str:
        """The bcrypt hash to store."""
        async with self.turn():
            return await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode())

    async def hash_pin(self, pin: str) -> str:
        """The bcrypt hash to store of the peppered PIN: a stolen database alone cannot be searched for PINs."""
        return await self.hash_password(self.peppered(pin))

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN is the one that was hashed."""
        async with self.turn() as turn:
            return await turn.verify_pin(pin, pin_hash)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def compare(self, password: str, password_hash: str | None) -> bool:
        """For a Turn: compare, or for nobody do the same work and say no."""
        # Half a surrogate pair can be sent, though never stored: it is a wrong password like any other.
        given = password.encode("utf-8", "surrogatepass")
        is_possible = password_hash is not None and len(given) <= MAX_BYTES
        stored = (password_hash if is_possible and password_hash else self._nobody).encode()
        matches = await self._run(lambda: bcrypt.checkpw(given[:MAX_BYTES], stored))
        return matches and is_possible

    def peppered(self, pin: str) -> str:
        """For a Turn: what is hashed in the PIN's place."""
        return hmac.new(self._pepper, pin.encode(), hashlib.sha256).hexdigest()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


class Turn:
    """A core of one's own for as long as the block lasts."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password is the one that was hashed; the same work when there is no hash at all."""
        return await self._hasher.compare(password, password_hash)

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN is the one that was hashed."""
        return await self._hasher.compare(self._hasher.peppered(pin), pin_hash)
