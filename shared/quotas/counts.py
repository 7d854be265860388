"""How much of each quota every owner has used, counted in the process that serves the owner.

What is counted fills a bucket that leaks: full, it is empty after the quota's period. So an owner may do `limit` at
once, and one more whenever a place of it is free again. No period begins, so there is no moment at which twice as many
pass. One number says it all: when the bucket will be empty.

Counting costs a request no round trip. What heavy users did in other processes is added from time to time (`sharing`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
MOST_PERIODS = 2
"""How full a bucket is believed to be: requests at the same time in several processes fill it above its limit."""
SECOND = 1_000_000_000
"""Levels and moments are in nanoseconds: whole numbers, so that a caller who waits as long as told is not refused by a
rounding."""

Name = tuple[str, UUID]
"""A quota's name and an owner."""


class Share(NamedTuple):
    """What the other processes should know of one owner: what was added here, how long it takes to empty as far as this
    process knows, and the longest that this may be. In nanoseconds."""

    name: Name
    added: int
    left: int
    most: int


@dataclass(slots=True)
class Level:
    """How full one owner's bucket is. What is `taken` has not filled it yet: the work may still be refused."""

    period: int
    empty_at: int = 0
    taken: int = 0
    unshared: int = 0

    def left(self, now: int) -> int:
        """How long until it is empty, at most MOST_PERIODS: a clock that was set back shuts no owner out."""
        self.empty_at = min(self.empty_at, now + MOST_PERIODS * self.period)
        return max(0, self.empty_at - now)


class Counts:
    """The counts of one process, for the MAX_COUNTED owners and quotas that were counted last."""

    def __init__(self) -> None:
        self._levels: dict[Name, Level] = {}
        self._to_share: dict[Name, None] = {}

    def level(self, name: Name, period: int) -> Level:
        """How full it is; it is the last one now."""
        level = self._levels.pop(name, None) or Level(period)
        self._levels[name] = level
        if len(self._levels) > MAX_COUNTED:
            oldest = next(iter(self._levels))
            del self._levels[oldest]
            self._to_share.pop(oldest, None)
        return level

    def fill(self, name: Name, period: int, amount: int, since: int) -> None:
        """Add what was taken at the moment `since`. Others need to know when a tenth or more is full."""
        level = self.level(name, period)
        level.empty_at = max(level.empty_at, since) + amount
        left = level.left(_now())
        level.unshared = min(level.unshared + amount, left)
        if left >= period // SHARED_FROM:
            self._to_share[name] = None

    @property
    def has_news(self) -> bool:
        """Whether the other processes should be told something."""
        return bool(self._to_share)

    def shares(self, at_most: int) -> Iterator[Share]:
        """What was added since it was shared last. Each is taken once."""
        now = _now()
        for name in list(self._to_share)[:at_most]:
            del self._to_share[name]
            level = self._levels[name]
            left = level.left(now)
            added, level.unshared = min(level.unshared, left), 0
            yield Share(name, added, left, MOST_PERIODS * level.period)

    def learn(self, share: Share, left: int) -> None:
        """All processes together need so long until it is empty. It never lowers what is known: an emptied Redis resets
        nothing."""
        level = self._levels.get(share.name)
        if level is not None:
            level.empty_at = max(level.empty_at, _now() + left + level.unshared)


@dataclass(slots=True)
class Place:
    """One place in a quota, taken before the work. Exactly one of its methods is called after it."""

    quota: Quota
    owner_id: UUID
    level: Level
    since: int

    def keep(self) -> None:
        """The work was done."""
        self._settle(self.quota.cost)

    def give_back(self) -> None:
        """Nothing was done, or it was done before: as if it had never been taken."""
        self.level.taken -= 1

    def refuse(self) -> None:
        """The work was refused, which is work as well."""
        self._settle(self.quota.cost_of_refusal)

    def _settle(self, cost: int) -> None:
        self.level.taken -= 1
        if cost:
            quota = self.quota
            quota.counts.fill((quota.name, self.owner_id), quota.period, cost, self.since)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` at once for each owner, and as many in `seconds` from then on.

    `error` makes the problem, of the limit and the seconds until there is a place. As many refused requests count as
    one as `refused_as_one` says; with 0 a refused one does not count.
    """

    counts: Counts
    name: str
    limit: int
    seconds: int
    error: Callable[[int, int], BatuaError]
    refused_as_one: int = 0

    @property
    def period(self) -> int:
        """How long a full one takes to empty."""
        return self.seconds * SECOND

    @property
    def cost(self) -> int:
        """How long the place of one takes to be free again."""
        return self.period // self.limit

    @property
    def cost_of_refusal(self) -> int:
        """The same for one that was refused."""
        return self.cost // self.refused_as_one if self.refused_as_one else 0

    def take(self, owner_id: UUID) -> Place | None:
        """Take a place before the work, so that requests at the same time do not pass the limit together.

        None if there is none.
        """
        level, now = self.counts.level((self.name, owner_id), self.period), _now()
        if self._missing(level, now) > 0:
            return None
        level.taken += 1
        return Place(self, owner_id, level, now)

    def refusal(self, owner_id: UUID) -> BatuaError:
        """The error for an owner who got no place. It says when there is one."""
        missing = self._missing(self.counts.level((self.name, owner_id), self.period), _now())
        return self.error(self.limit, max(1, -(-missing // SECOND)))

    def audit(self, owner_id: UUID) -> None:
        """Tell the audit trail that the owner was refused."""
        trail.record(Kind.LIMIT_HIT, what=self.name, owner_id=owner_id)

    def _missing(self, level: Level, now: int) -> int:
        """How long until there is room for one more. What is taken counts as if it were done."""
        return level.left(now) + (level.taken + 1) * self.cost - self.period


def take_all(quotas: Iterable[Quota], owner_id: UUID) -> tuple[list[Place], Quota | None]:
    """A place in each quota; or none, and the quota that is used up."""
    places: list[Place] = []
    for quota in quotas:
        place = quota.take(owner_id)
        if place is None:
            for taken in places:
                taken.give_back()
            return [], quota
        places.append(place)
    return places, None


def _now() -> int:
    return round(clock.now().timestamp() * 1_000_000) * 1000  # exact: a clock has microseconds
