"""How often each owner did something in the current minute or day, counted in the process that serves the owner.

Counting costs a request no round trip. What heavy users did in other processes is added from time to time (`sharing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared import clock
from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.errors import BatuaError

DAY_SECONDS = 24 * 3600
TEN_SECONDS = 10
MINUTE_SECONDS = 60
MAX_COUNTED = 100_000
SHARED_FROM = 10
_INDIA_IS_AHEAD_BY = 19_800
"""Days are those of the Indian calendar, as for the limits on money. India has no daylight saving time."""

Name = tuple[str, UUID]
"""A quota's name and an owner."""


class Share(NamedTuple):
    """What this process counted of one owner in one period: to be known to the other processes."""

    name: Name
    period: int
    own: int
    seconds_left: int


@dataclass(slots=True)
class _Count:
    period: int
    shared_from: int
    seconds: int
    own: int = 0
    others: int = 0


class Counts:
    """The counts of one process, for the MAX_COUNTED owners and quotas that were counted last."""

    def __init__(self) -> None:
        self._counts: dict[Name, _Count] = {}
        self._to_share: dict[Name, None] = {}

    def used(self, name: Name, seconds: int) -> int:
        """How much was counted in the period that runs now, in all processes as far as this one knows."""
        count = self._counts.get(name)
        return 0 if count is None or count.period != _period(seconds)[0] else count.own + count.others

    def add(self, name: Name, seconds: int, amount: int, limit: int) -> int:
        """Count `amount` more. Answers the period. Others need to know when it is at least a tenth of the `limit`."""
        period = _period(seconds)[0]
        count = self._counts.pop(name, None)
        if count is None or count.period != period:
            count = _Count(period, limit // SHARED_FROM, seconds)
        self._counts[name] = count  # the last one now
        count.own += amount
        if count.own >= count.shared_from:
            self._to_share[name] = None
        if len(self._counts) > MAX_COUNTED:
            oldest = next(iter(self._counts))
            del self._counts[oldest]
            self._to_share.pop(oldest, None)
        return period

    def take_back(self, name: Name, period: int, amount: int) -> None:
        """Count `amount` less, if `period` still runs."""
        count = self._counts.get(name)
        if count is not None and count.period == period:
            count.own -= amount

    @property
    def has_news(self) -> bool:
        """Whether the other processes should be told something."""
        return bool(self._to_share)

    def shares(self, at_most: int) -> Iterator[Share]:
        """What has changed since it was shared last. Each is taken once."""
        for name in list(self._to_share)[:at_most]:
            del self._to_share[name]
            count = self._counts[name]
            period, seconds_left = _period(count.seconds)
            if count.period == period:
                yield Share(name, period, count.own, seconds_left)

    def learn(self, share: Share, total: int) -> None:
        """All processes together counted `total`. It never lowers what is known: an emptied Redis resets nothing."""
        count = self._counts.get(share.name)
        if count is not None and count.period == share.period:
            count.others = max(count.others, total - share.own)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` in `seconds`, for each owner. `error` makes the problem, of the limit and the seconds left."""

    counts: Counts
    name: str
    limit: int
    seconds: int
    error: Callable[[int, int], BatuaError]

    def require_room(self, owner_id: UUID, wanted: int = 1) -> None:
        """Raise the quota's error if `wanted` more would exceed it."""
        if self.counts.used((self.name, owner_id), self.seconds) + wanted > self.limit:
            trail.record(Kind.LIMIT_HIT, what=self.name, owner_id=owner_id)
            raise self.error(self.limit, _period(self.seconds)[1])

    def count(self, owner_id: UUID, amount: int = 1) -> None:
        """Count what was done."""
        self.counts.add((self.name, owner_id), self.seconds, amount, self.limit)

    def take(self, owner_id: UUID) -> int:
        """Count one before it is done, so that requests at the same time do not pass the limit together.

        Answers the period, for `give_back`. Raises the quota's error.
        """
        self.require_room(owner_id)
        return self.counts.add((self.name, owner_id), self.seconds, 1, self.limit)

    def give_back(self, owner_id: UUID, period: int) -> None:
        """What was taken in this period has come to nothing."""
        self.counts.take_back((self.name, owner_id), period, 1)


def _period(seconds: int) -> tuple[int, int]:
    """The number of the period that runs now, and the whole seconds until it ends, at least 1."""
    number, into = divmod(clock.now().timestamp() + _INDIA_IS_AHEAD_BY, seconds)
    return int(number), int(seconds - into) + 1
