"""Hashing with bcrypt: in threads, off the event loop, at most one hash per core at a time.

Processes that share a port share the cores out among them. Who waits for a core takes turns with others
(`hashing_queue`), for a bounded time, and only as long as the caller stays.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import bcrypt

from shared.auth.errors import HashingBusy
from shared.auth.hashing_queue import OURSELVES, Asker, HashingQueue, Waiter
from shared.callers import WhileWanted
from shared.config import PasswordSettings
from shared.spelling import opaque

MAX_WAITING = 512
"""How many hashes may wait for a core."""
MAX_WAITING_AT_ADDRESS = 128
"""Of these, hashes that one network address asks for."""
MAX_WAITING_OF_OWNER = 40
"""Of these, hashes of one owner, who is asked to come again before the last of them would have waited too long."""
WAIT_SECONDS = 10.0
"""For a core."""
NICENESS = 5
"""Of the threads: on a core that payments keep busy, a hash still gets a quarter of the time."""
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
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt", initializer=_step_back)
        self._free_cores = threads
        self._queue = HashingQueue(MAX_WAITING, MAX_WAITING_AT_ADDRESS, MAX_WAITING_OF_OWNER)
        # A well-formed hash that no password has. Comparing with it costs as much as with a real one.
        self._no_hash = (bcrypt.gensalt(self._rounds) + b"." * _DIGEST_LENGTH).decode()

    @property
    def waiting(self) -> int:
        """How many hashes wait for a core."""
        return len(self._queue)

    def require_room(self, asker: Asker) -> None:
        """Raise HashingBusy if as many wait as one may have: ask before any other work."""
        self._queue.require_room(asker)

    @asynccontextmanager
    async def core(self, asker: Asker = OURSELVES) -> AsyncIterator[HashingCore]:
        """Wait for a core to hash on. Raises HashingBusy if too many wait, or the wait takes too long; CallerLeft.

        What the caller reads inside the block is at most one hash old, however long it waited for the core.
        """
        await self._take_core(asker)
        try:
            yield HashingCore(self)
        finally:
            self._queue.go_last(asker)
            self._give_core()

    async def hash_password(self, password: str, asker: Asker = OURSELVES) -> str:
        """The bcrypt hash to store. Raises HashingBusy, CallerLeft."""
        async with self.core(asker):
            secret = _secret(opaque(password))
            return await self._run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)).decode())

    async def hash_pin(self, pin: str, asker: Asker = OURSELVES) -> str:
        """The bcrypt hash to store of the peppered PIN: without the pepper, a stolen hash does not lead to the PIN."""
        return await self.hash_password(self.peppered(pin), asker)

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

    async def _take_core(self, asker: Asker) -> None:
        if self._free_cores:  # then no one waits
            self._free_cores -= 1
            return
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queue.put(asker, waiter)
        try:
            with WhileWanted():
                async with asyncio.timeout(WAIT_SECONDS):
                    await waiter
        except BaseException as error:
            self._queue.remove(asker, waiter)
            if _has_turn(waiter):
                self._give_core()
            if isinstance(error, TimeoutError):
                raise HashingBusy from None
            raise

    def _give_core(self) -> None:
        while self._queue:
            waiter = self._queue.pop()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free_cores += 1

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


def _step_back() -> None:
    """Let payments, which take milliseconds, go before hashes on a busy core. Linux gives each thread a priority.

    One that is lower already stays: not every user may raise it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def _has_turn(waiter: Waiter) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _secret(password: str) -> bytes:
    # JSON can carry half of a surrogate pair. No stored password has one, so it is a wrong password.
    given = password.encode("utf-8", "surrogatepass")
    if len(given) <= _READ_BY_BCRYPT:
        return given
    return base64.b64encode(hashlib.sha256(given).digest())
