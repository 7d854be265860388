"""The audit trail of a process: events are folded in memory, and a task of its own writes them.

To record costs no wait, so no sign-in and no payment is slower for it. Repeats of (kind, what, owner, address) within
FOLD_SECONDS are one row for the first and one for all others. Of each kind so many owners and addresses are told apart
in a window, and the rest are counted together as from `many`, so neither rows nor memory grow with what strangers make
up; an email that no account has is not even kept. Owners are counted apart from those whom no account knows, so that
guesses at made-up emails push no one's events out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter as Metric

from shared import clock
from shared.audit.kinds import Kind

FOLD_SECONDS = 600.0
"""Repeats within this time are counted together."""
MANY = "many"

request_network: ContextVar[Callable[[], str | None] | None] = ContextVar("request_network", default=None)
"""While a request is served, answers the network that it comes from: only what is recorded pays for the answer."""

_EVENTS = Metric("batua_audit_events", "Audited events: sign-ins, failures, changed secrets, limits", ["kind"])
_UNNAMED = Metric("batua_audit_events_unnamed", "Audited events counted without owner and address: there were too many")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is counted together: the same thing, of the same owner, from the same network."""

    kind: Kind
    what: str | None = None
    owner_id: UUID | None = None
    address: str | None = None


@dataclass(slots=True)
class Fold:
    """Repeats of one subject within a window. `count` are those that no row tells of yet."""

    subject: Subject
    request_id: str | None
    first_at: datetime
    last_at: datetime
    ends_at: datetime
    count: int = 1
    is_written: bool = False

    def is_due(self, now: datetime) -> bool:
        """The first is written soon, the others once the window has ended."""
        return self.count > 0 and (not self.is_written or now >= self.ends_at)


class Trail:
    """Counts events until they are written. All of it runs on one event loop."""

    def __init__(self) -> None:
        self._folds: dict[Subject, Fold] = {}
        self._distinct: Counter[tuple[Kind, bool]] = Counter()
        self.name_of_request: Callable[[], str | None] = lambda: None
        """Answers the id of the request that is being served, if one is."""

    def record(
        self, kind: Kind, *, what: str | None = None, owner_id: UUID | None = None, address: str | None = None
    ) -> None:
        """Count one event, from `address` or else from where the request comes that is being served.

        Raises nothing and waits for nothing.
        """
        if address is None and (network := request_network.get()) is not None:
            address = network()
        _EVENTS.labels(kind).inc()
        now = clock.now()
        subject = Subject(kind, what, owner_id, address)
        fold = self._folds.get(subject)
        if fold is None and self._distinct[kind, owner_id is None] >= kind.most_distinct:
            _UNNAMED.inc()
            subject = Subject(kind, what, None, MANY)
            fold = self._folds.get(subject)
        if fold is not None:  # also one whose window has just ended: it is written soon
            fold.first_at = fold.first_at if fold.count else now
            fold.last_at = now
            fold.count += 1
            return
        ends_at = now + timedelta(seconds=FOLD_SECONDS)
        self._folds[subject] = Fold(subject, self.name_of_request(), now, now, ends_at)
        self._distinct[kind, subject.owner_id is None] += 1

    def take(self, now: datetime, *, everything: bool = False) -> list[Fold]:
        """Take what is to be written: the first of each subject, and the repeats once a window has ended."""
        taken = []
        for fold in list(self._folds.values()):
            if fold.count and (everything or fold.is_due(now)):
                taken.append(replace(fold))
                fold.count, fold.is_written = 0, True
            if not fold.count and now >= fold.ends_at:
                del self._folds[fold.subject]
                self._distinct[fold.subject.kind, fold.subject.owner_id is None] -= 1
        return taken

    def give_back(self, taken: Sequence[Fold]) -> None:
        """Count again what could not be written: it is due at once."""
        for fold in taken:
            known = self._folds.get(fold.subject)
            if known is None:
                self._folds[fold.subject] = known = replace(fold, count=0)
                self._distinct[fold.subject.kind, fold.subject.owner_id is None] += 1
            known.count += fold.count
            known.first_at, known.is_written = fold.first_at, False


def begin_at_zero() -> None:
    """Show the count of every kind from the start: one that appears with its first event shows no increase."""
    for kind in Kind:
        _EVENTS.labels(kind)


trail = Trail()
"""The trail of this process."""
