"""Instructions that wait for an account which another transaction has locked, in their order, per account."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class Waiting(Protocol):
    """An instruction of a caller."""

    behind: UUID | None
    """The account that it waits for, once it is set aside."""

    @property
    def is_over(self) -> bool:
        """Whether it has its outcome, or its caller has left."""


WaitingT = TypeVar("WaitingT", bound=Waiting)


class SetAside(Generic[WaitingT]):
    """A queue per locked account. What is over leaves its queue by itself; an empty queue is gone."""

    def __init__(self) -> None:
        self._queues: dict[UUID, deque[WaitingT]] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def account_among(self, touched: Iterable[UUID]) -> UUID | None:
        """The first of these accounts that others wait for already."""
        return next((account_id for account_id in touched if account_id in self._queues), None)

    def add(self, waiting: WaitingT, account_id: UUID) -> None:
        """Put it behind those that wait for the account; it keeps its place if it is one of them."""
        if waiting.behind != account_id:
            waiting.behind = account_id
            self._queues.setdefault(account_id, deque()).append(waiting)

    def next_turn(self, at_most: int) -> list[WaitingT]:
        """The first that wait for one account, in their order. The accounts take turns; nothing when none waits."""
        self._drop_what_left()
        if not self._queues:
            return []
        account_id = next(iter(self._queues))
        queue = self._queues[account_id] = self._queues.pop(account_id)
        return list(queue)[:at_most]

    def all(self, at_most: int) -> list[WaitingT]:
        """The first that wait, of every account."""
        self._drop_what_left()
        return [waiting for queue in self._queues.values() for waiting in queue][:at_most]

    def _drop_what_left(self) -> None:
        for account_id, queue in list(self._queues.items()):
            staying = deque(each for each in queue if not each.is_over and each.behind == account_id)
            if staying:
                self._queues[account_id] = staying
            else:
                del self._queues[account_id]
