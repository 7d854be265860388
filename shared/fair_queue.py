"""A queue in which owners take turns: one who sends much waits behind themselves, and not others behind them."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


class FairQueue(Generic[T]):
    """The items of one owner stay in their order. With one item per owner it is first in, first out.

    At most `most` items wait, and `most_of_owner` of one owner.
    """

    def __init__(self, most: int, most_of_owner: int) -> None:
        self._most = most
        self._most_of_owner = most_of_owner
        self._lines: dict[int, deque[T]] = {}  # by the number of the owner's id, which hashes faster
        self._turns: deque[int] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, owner_id: UUID, item: T) -> bool:
        """Let an item wait for its owner's next turn. False: there is no room for it."""
        if self._size >= self._most:
            return False
        owner = owner_id.int
        line = self._lines.get(owner)
        if line is None:
            self._lines[owner] = deque((item,))
            self._turns.append(owner)
        elif len(line) >= self._most_of_owner:
            return False
        else:
            line.append(item)
        self._size += 1
        return True

    def pop(self) -> T:
        """The oldest item of the owner whose turn it is. Raises IndexError if nothing waits."""
        owner = self._turns.popleft()
        line = self._lines[owner]
        item = line.popleft()
        if line:
            self._turns.append(owner)
        else:
            del self._lines[owner]
        self._size -= 1
        return item
