"""The judge of the drill, pure: what callers were answered, and what the books say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

CREATED = 201
UNAVAILABLE = 503
NO_ANSWER = 0
"""Stands for a status where the connection broke, or no answer came in the caller's time."""
SERVER_ERRORS = range(500, 600)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a payment: when it came (seconds of a monotonic clock), its status, and whose key it answers."""

    at: float
    status: int
    key: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What was broken, how long callers were watched, and how long an outage may last; None: it is not judged."""

    name: str
    began: float
    ended: float
    limit_seconds: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """One fault as callers saw it: the longest time between two payments that were made, and all answers by status."""

    fault: Fault
    outage_seconds: float
    statuses: Mapping[int, int]

    @property
    def is_kept(self) -> bool:
        """Whether the outage was as short as it must be."""
        return self.fault.limit_seconds is None or self.outage_seconds <= self.fault.limit_seconds


@dataclass(slots=True)
class Verdict:
    """Empty findings mean that the promise was kept."""

    watched: list[Watched]
    statuses: Mapping[int, int]
    keys: int
    findings: list[str] = field(default_factory=list)


def longest_gap(answers: Sequence[Answer], began: float, ended: float) -> float:
    """The longest time without a 201 that overlaps the range, in seconds. Without any 201 it is the whole range."""
    made = sorted(answer.at for answer in answers if answer.status == CREATED)
    before = max((at for at in made if at <= began), default=began)
    after = min((at for at in made if at >= ended), default=ended)
    inside = [at for at in made if began < at < ended]
    return max(later - earlier for earlier, later in pairwise([before, *inside, after]))


def watch(answers: Sequence[Answer], fault: Fault) -> Watched:
    """What callers noticed of a fault."""
    inside = [answer for answer in answers if fault.began <= answer.at <= fault.ended]
    gap = longest_gap(answers, fault.began, fault.ended)
    return Watched(fault, gap, Counter(answer.status for answer in inside))


def judge(answers: Sequence[Answer], faults: Sequence[Fault], booked: Mapping[str, int]) -> Verdict:
    """Judge the run. `booked` has, for each key, how many transfers the books have for it.

    Every key was repeated until it was answered 201, so each must be booked exactly once. An outage is answered 503, or
    not at all; any other server error is a defect.
    """
    watched = [watch(answers, fault) for fault in faults]
    statuses = Counter(answer.status for answer in answers)
    asked = {answer.key for answer in answers}
    made = {answer.key for answer in answers if answer.status == CREATED}
    verdict = Verdict(watched, statuses, len(asked))
    for each in watched:
        if not each.is_kept:
            verdict.findings.append(
                f"{each.fault.name}: {each.outage_seconds:.1f} s without a payment, "
                f"{each.fault.limit_seconds:.0f} s are allowed"
            )
    for status in sorted(set(statuses) & set(SERVER_ERRORS) - {UNAVAILABLE}):
        verdict.findings.append(f"{statuses[status]} answers {status}")
    verdict.findings += [f"lost: {key} was answered 201 and is not booked" for key in made if not booked.get(key)]
    verdict.findings += [f"doubled: {key} is booked {count} times" for key, count in booked.items() if count > 1]
    verdict.findings += [f"made: {key} is booked and was never asked for" for key in booked.keys() - asked]
    verdict.findings += [f"stuck: {key} was never answered 201" for key in sorted(asked - made)]
    return verdict
