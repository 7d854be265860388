"""Hashing with bcrypt: in threads, off the event loop, one hash per core at a time, and one more for a newcomer.

Processes that share a port share the cores out among them. Who waits for a core takes turns with others
(`hashing_queue`), for a bounded time, and only as long as the caller stays. An owner and a network address of whom no
hash is under way may share a core with one: that one may be a flood's, and takes a quarter of a second. Hashes of one
address take half of the machine's cores at most (`address_places`).
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

from shared.auth.address_places import AddressPlaces, Place
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
NEWCOMERS = 1
"""Hashes under way beyond one per core."""
LOOK_SECONDS = 0.02
"""Until those who wait look again whether another process has given back a place of their address."""
NICENESS, NICENESS_OF_MANY = 5, 10
"""Of the threads: on a core that payments keep busy, a hash still gets a quarter of the time. One of an address that
has more waiting gets a tenth there, and a quarter beside another hash."""
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
        self._cores = max(1, (os.cpu_count() or 1) // processes)
        self._places = AddressPlaces.of_machine(os.cpu_count() or 1, self._pepper)
        self._under_way: list[tuple[Asker, Place]] = []
        self._threads = _threads(self._cores + NEWCOMERS, NICENESS)
        self._threads_of_many = _threads(self._cores + NEWCOMERS, NICENESS_OF_MANY)
        self._queue = HashingQueue(MAX_WAITING, MAX_WAITING_AT_ADDRESS, MAX_WAITING_OF_OWNER)
        self._next_look: asyncio.TimerHandle | None = None
        self._given_back = "", 0.0
        """The address of the last hash, and when it ended, in seconds of the event loop's clock."""
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
        is_one_of_many = self._queue.waiting_at(asker.address) > 0
        try:
            yield HashingCore(self, self._threads_of_many if is_one_of_many else self._threads)
        finally:
            self._queue.go_last(asker)
            self._give_core(asker)

    async def hash_password(self, password: str, asker: Asker = OURSELVES) -> str:
        """The bcrypt hash to store. Raises HashingBusy, CallerLeft."""
        async with self.core(asker) as core:
            secret = _secret(opaque(password))
            return await core.run(lambda: bcrypt.hashpw(secret, bcrypt.gensalt(self._rounds)).decode())

    async def hash_pin(self, pin: str, asker: Asker = OURSELVES) -> str:
        """The bcrypt hash to store of the peppered PIN: without the pepper, a stolen hash does not lead to the PIN."""
        return await self.hash_password(self.peppered(pin), asker)

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN has this hash. Raises HashingBusy."""
        async with self.core() as core:
            return await core.verify_pin(pin, pin_hash)

    def close(self) -> None:
        """Stop the threads, and look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
        for threads in (self._threads, self._threads_of_many):
            threads.shutdown(wait=False, cancel_futures=True)

    def stored(self, password_hash: str | None) -> bytes:
        """For HashingCore: what to compare with, also where there is no hash."""
        return (password_hash or self._no_hash).encode()

    def peppered(self, pin: str) -> str:
        """For HashingCore: the keyed hash of the PIN, which bcrypt hashes again."""
        return hmac.new(self._pepper, pin.encode(), hashlib.sha256).hexdigest()

    async def _take_core(self, asker: Asker) -> None:
        # Who is first to see a free place does not go before those of the address who wait for it, in any process.
        if not self._queue.waiting_at(asker.address) and self._begin(asker, set()):
            return
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queue.put(asker, waiter)
        self._look_later()
        try:
            with WhileWanted():
                async with asyncio.timeout(WAIT_SECONDS):
                    await waiter
        except BaseException as error:
            self._queue.remove(asker, waiter)
            if _has_turn(waiter):
                self._give_core(asker)
            if isinstance(error, TimeoutError):
                raise HashingBusy from None
            raise

    def _give_core(self, asker: Asker) -> None:
        self._end(asker)
        self._given_back = asker.address, asyncio.get_running_loop().time()
        self._serve()

    def _serve(self) -> None:
        """Let those who wait begin, in the order of their turns."""
        full: set[str] = set()
        while (next_one := self._queue.pop(lambda asker: self._begin(asker, full))) is not None:
            who, waiter = next_one
            if waiter.done():
                self._end(who)
            else:
                waiter.set_result(None)
        self._look_later()

    def _look_later(self) -> None:
        """While some wait, look every LOOK_SECONDS whether one may begin."""
        if len(self._queue) and self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._next_look = None
        self._serve()

    def _begin(self, asker: Asker, full: set[str]) -> bool:
        """Take a core and a place of the address, if both are free.

        A place that we have just given back is left to the other processes, all of which look in the meantime. An
        address that has none joins `full`: to look for one takes system calls, and many may wait there.
        """
        address, given_back_at = self._given_back
        is_theirs = address == asker.address and asyncio.get_running_loop().time() < given_back_at + LOOK_SECONDS
        if is_theirs or asker.address in full or not self._has_core(asker):
            return False
        place = self._places.take(asker.address)
        if place is None:
            full.add(asker.address)
            return False
        self._under_way.append((asker, place))
        return True

    def _end(self, asker: Asker) -> None:
        ended = next(each for each in self._under_way if each[0] == asker)
        self._under_way.remove(ended)
        ended[1].give_back()

    def _has_core(self, asker: Asker) -> bool:
        under_way = [each for each, _ in self._under_way]
        is_newcomer = not any(asker.address == each.address or asker.who == each.who for each in under_way)
        return len(under_way) < self._cores + (NEWCOMERS if is_newcomer else 0)


class HashingCore:
    """One core, held until the block of `Hasher.core` ends."""

    def __init__(self, hasher: Hasher, threads: ThreadPoolExecutor) -> None:
        self._hasher = hasher
        self._threads = threads

    async def matching_form(self, password: str, password_hash: str | None) -> str | None:
        """The form of the password that has this hash: as it is prepared, or as it was typed, which is how it was
        hashed before passwords were prepared. None, after the same work, if neither has it or there is no hash.

        The second form costs a second comparison, and only when it differs from the first.
        """
        for form in dict.fromkeys((opaque(password), password)):
            if await self.compare(form, password_hash):
                return form
        return None

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether a form of the password has this hash. False after the same work if there is no hash."""
        return await self.matching_form(password, password_hash) is not None

    async def verify_pin(self, pin: str, pin_hash: str) -> bool:
        """Whether the PIN has this hash."""
        return await self.compare(self._hasher.peppered(pin), pin_hash)

    async def run(self, work: Callable[[], Result]) -> Result:
        """Work in a thread, on this core."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def compare(self, password: str, password_hash: str | None) -> bool:
        """Whether these characters have this hash. False after the same work if there is no hash."""
        given, stored = _secret(password), self._hasher.stored(password_hash)
        return await self.run(lambda: bcrypt.checkpw(given, stored)) and password_hash is not None


def _threads(most: int, niceness: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(most, thread_name_prefix="bcrypt", initializer=_step_back, initargs=(niceness,))


def _step_back(niceness: int) -> None:
    """Let payments, which take milliseconds, go before hashes on a busy core. Linux gives each thread a priority.

    One that is lower already stays: not every user may raise it.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(niceness, os.getpriority(os.PRIO_PROCESS, thread)))


def _has_turn(waiter: Waiter) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _secret(password: str) -> bytes:
    # JSON can carry half of a surrogate pair. No stored password has one, so it is a wrong password.
    given = password.encode("utf-8", "surrogatepass")
    if len(given) <= _READ_BY_BCRYPT:
        return given
    return base64.b64encode(hashlib.sha256(given).digest())
