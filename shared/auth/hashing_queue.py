"""Who hashes next. Network addresses take turns, and so do the owners at each: one who sends much waits behind
themselves.

When the queue is full, the longest line in it loses its newest place, so that a flood pays and not those who come after
it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

from shared.auth.errors import HashingBusy
from shared.auth.networks import network_of

Waiter = asyncio.Future[None]
"""Done when it is its turn, or has lost its place."""


class Asker(NamedTuple):
    """Who wants a hash. `who` is an owner's id if that is certain, and else what was typed: anyone can type it, so it
    makes a line of its own at each address.
    """

    address: str
    who: UUID | str

    @classmethod
    def owner(cls, owner_id: UUID, address: str) -> Asker:
        """An owner who has a session or a known device."""
        return cls(network_of(address), owner_id)

    @classmethod
    def stranger(cls, typed: str, address: str) -> Asker:
        """The one who typed this, an email for instance, of any length."""
        return cls(network_of(address), hashlib.sha256(typed.encode("utf-8", "surrogatepass")).hexdigest())


OURSELVES = Asker("", "")
"""A command of the operator, which no one competes with."""

_Lines = OrderedDict[UUID | str, deque[Waiter]]


class HashingQueue:
    """At most `most` wait, `most_of_address` at one address, and `most_of_owner` of one owner at all addresses."""

    def __init__(self, most: int, most_of_address: int, most_of_owner: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._most_of_owner = most_of_owner
        self._addresses: OrderedDict[str, _Lines] = OrderedDict()  # the first has the next turn, and so in each line
        self._at_address: Counter[object] = Counter()
        self._of_owner: Counter[object] = Counter()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def require_room(self, asker: Asker) -> None:
        """Raise HashingBusy if the owner has as many waiting as one may have."""
        if self._of_owner[_owner_of(asker)] >= self._most_of_owner:
            raise HashingBusy

    def put(self, asker: Asker, waiter: Waiter) -> None:
        """Let it wait. Raises HashingBusy when it would be the one to lose its place."""
        self.require_room(asker)
        self._add(asker, waiter)
        if self._at_address[asker.address] > self._most_of_address:
            self._drop_newest(asker.address)
        elif self._size > self._most:
            self._drop_newest(max(reversed(self._addresses), key=self._at_address.__getitem__))
        if waiter.done():
            waiter.result()  # raises HashingBusy

    def waiting_at(self, address: str) -> int:
        """How many wait at one address."""
        return self._at_address[address]

    def pop(self, may_begin: Callable[[Asker], bool]) -> tuple[Asker, Waiter] | None:
        """The oldest of the first owner who may begin, in the order of turns; None if none of them may."""
        asker = next(filter(may_begin, self._in_order()), None)
        if asker is None:
            return None
        waiter = self._addresses[asker.address][asker.who][0]
        self.go_last(asker)
        self.remove(asker, waiter)
        return asker, waiter

    def go_last(self, asker: Asker) -> None:
        """Those who wait now, at other addresses and at this one, have their turn before this owner's next one.

        `pop` does this when a hash begins. Do it again when it ends: who came meanwhile waits for no second one.
        """
        lines = self._addresses.get(asker.address)
        if lines is None:
            return
        self._addresses.move_to_end(asker.address)
        if asker.who in lines:
            lines.move_to_end(asker.who)

    def remove(self, asker: Asker, waiter: Waiter) -> None:
        """Give up its place, if it still has one."""
        lines: _Lines = self._addresses.get(asker.address, OrderedDict())
        line = lines.get(asker.who)
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        self._size -= 1
        _take_one(self._at_address, asker.address)
        _take_one(self._of_owner, _owner_of(asker))
        if not line:
            del lines[asker.who]
        if not lines:
            del self._addresses[asker.address]

    def _in_order(self) -> Iterator[Asker]:
        for address, lines in self._addresses.items():
            for who in lines:
                yield Asker(address, who)

    def _add(self, asker: Asker, waiter: Waiter) -> None:
        lines = self._addresses.setdefault(asker.address, OrderedDict())
        lines.setdefault(asker.who, deque()).append(waiter)
        self._size += 1
        self._at_address[asker.address] += 1
        self._of_owner[_owner_of(asker)] += 1

    def _drop_newest(self, address: str) -> None:
        lines = self._addresses[address]
        # Of lines of the same length the last one, so that a new one does not push out another.
        who = max(reversed(lines), key=lambda each: len(lines[each]))
        loser = lines[who][-1]
        self.remove(Asker(address, who), loser)
        if not loser.done():
            loser.set_exception(HashingBusy())


def _owner_of(asker: Asker) -> Asker | UUID:
    return asker.who if isinstance(asker.who, UUID) else asker


def _take_one(counts: Counter[object], key: object) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
