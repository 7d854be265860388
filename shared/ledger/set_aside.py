"""Instructions that wait for an account which another transaction has locked, in their order, per account."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, dropwhile, islice
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class Waiting(Protocol):
    """An instruction of a caller."""

    behind: UUID | None
    """The account that it waits for, once it is set aside."""

    @property
    def accounts(self) -> tuple[UUID, ...]:
        """The accounts that it touches."""

    @property
    def is_over(self) -> bool:
        """Whether it has its outcome, or its caller has left."""


WaitingT = TypeVar("WaitingT", bound=Waiting)


class SetAside(Generic[WaitingT]):
    """A queue per locked account. What is over leaves its queue by itself; an empty queue is gone."""

    def __init__(self) -> None:
        self._queues: dict[UUID, dict[WaitingT, None]] = {}

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def account_among(self, touched: Iterable[UUID]) -> UUID | None:
        """The first of these accounts that others wait for already."""
        return next((account_id for account_id in touched if account_id in self._queues), None)

    def add(self, waiting: WaitingT, account_id: UUID) -> None:
        """Put it behind those that wait for the account; it keeps its place if it is one of them.

        Where it waited for another account until now, those behind it there that touch this one, too, come with it:
        some may have come while it was tried, and would be before it now.
        """
        if waiting.behind == account_id:
            return
        before = () if waiting.behind is None else self._queues.get(waiting.behind, ())
        later = islice(dropwhile(lambda each: each is not waiting, before), 1, None)
        for each in [waiting, *(each for each in later if account_id in each.accounts)]:
            if each.behind is not None:
                self._take_out(each, each.behind)
            each.behind = account_id
            self._queues.setdefault(account_id, {})[each] = None

    def next_turn(self, at_most: int) -> list[WaitingT]:
        """The first that wait for one account, in their order. The accounts take turns; nothing when none waits."""
        self._take_out_what_is_over()
        if not self._queues:
            return []
        account_id = next(iter(self._queues))
        queue = self._queues[account_id] = self._queues.pop(account_id)
        return list(islice(queue, at_most))

    def all(self, at_most: int) -> list[WaitingT]:
        """The first that wait, of every account."""
        self._take_out_what_is_over()
        return list(islice(chain.from_iterable(self._queues.values()), at_most))

    def _take_out_what_is_over(self) -> None:
        for account_id, queue in list(self._queues.items()):
            for waiting in [each for each in queue if each.is_over]:
                self._take_out(waiting, account_id)

    def _take_out(self, waiting: WaitingT, account_id: UUID) -> None:
        queue = self._queues.get(account_id, {})
        queue.pop(waiting, None)
        if not queue:
            self._queues.pop(account_id, None)
