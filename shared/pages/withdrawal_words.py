"""A withdrawal in words: what it is doing, what it waits for, and what has happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import clock
from shared.banks.table import BANKS
from shared.http.timeline_words import words_of
from shared.models.withdrawal import WithdrawalStatus
from shared.pages import formatting
from shared.withdrawals.events import EventKind
from shared.withdrawals.views import TimelineEvent, WaitingFor, WithdrawalView

_SOON = timedelta(seconds=60)
_SHOWN_EVENTS = 6
"""A bank that stays away makes a long timeline. What is older than this is folded up."""
_GOOD_EVENTS = frozenset({EventKind.PAID, EventKind.RESOLVED_PAID})
_BAD_EVENTS = frozenset({EventKind.REFUSED, EventKind.REVERSED, EventKind.RESOLVED_FAILED})
_CALM_EVENTS = frozenset({EventKind.QUEUED, EventKind.CANCELLED, EventKind.SENDING})
_STATES = {
    WithdrawalStatus.QUEUED: ("In your queue", "wait", "clock"),
    WithdrawalStatus.IN_FLIGHT: ("On its way", "wait", "clock"),
    WithdrawalStatus.WAITING: ("Waiting for the bank", "wait", "clock"),
    WithdrawalStatus.UNKNOWN: ("Waiting for the bank", "wait", "clock"),
    WithdrawalStatus.NEEDS_REVIEW: ("We are looking into it", "wait", "clock"),
    WithdrawalStatus.SUCCEEDED: ("Paid out", "good", "check"),
    WithdrawalStatus.FAILED: ("Refused by the bank", "bad", "cross"),
    WithdrawalStatus.CANCELLED: ("Cancelled", "calm", "cross"),
    WithdrawalStatus.REVERSED: ("Sent back by the bank", "bad", "undo"),
}
"""The one name of each state, wherever a page names it, with its tone and icon."""
_SENTENCES = {
    WithdrawalStatus.QUEUED: "Next to be sent to {bank}.",
    WithdrawalStatus.IN_FLIGHT: "It is being sent to {bank} now.",
    WithdrawalStatus.WAITING: ("{bank} cannot be reached, so nothing has been sent yet. The next attempt is {again}."),
    WithdrawalStatus.UNKNOWN: "{bank} has not told us yet whether it was done. We ask again {again}.",
    WithdrawalStatus.NEEDS_REVIEW: (
        "This takes longer than it should, so a person here looks at it. Your money is kept aside."
    ),
    WithdrawalStatus.SUCCEEDED: "{bank} has paid it into the account.",
    WithdrawalStatus.FAILED: "{bank} would not pay it out{because}. The money is available again.",
    WithdrawalStatus.CANCELLED: "Nothing was sent. The money is available again.",
    WithdrawalStatus.REVERSED: "The receiving bank returned it{because}. The money is in your wallet again.",
}
_BEHIND_OTHERS = "It is sent to {bank} once your withdrawals before it are through."


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One event of the timeline, as `ui.timeline` takes it."""

    title: str
    at: datetime
    note: str
    tone: str


@dataclass(frozen=True, slots=True)
class WithdrawalWords:
    """What pages say about a withdrawal: `state` wherever it is named, the rest on its own page.

    `is_open`: it is not finished, so the page changes by itself.
    """

    state: str
    sentence: str
    tone: str
    icon: str
    bank: str
    is_open: bool
    place: str | None
    behind: str | None
    """For a list: its place in the queue, unless it is the first."""
    earlier_events: Sequence[TimelineItem]
    events: Sequence[TimelineItem]


def words_for(withdrawal: WithdrawalView, timeline: Sequence[TimelineEvent] = ()) -> WithdrawalWords:
    """The withdrawal in words, with the events of its timeline."""
    status, bank = withdrawal.status, BANKS[withdrawal.bank].name
    state, tone, icon = _STATES[status]
    items = [_item(event, bank) for event in timeline]
    return WithdrawalWords(
        state=state,
        sentence=_sentence(withdrawal, bank),
        tone=tone,
        icon=icon,
        bank=bank,
        is_open=not status.is_final,
        place=_place(withdrawal.position),
        behind=f"{withdrawal.position} in your queue" if (withdrawal.position or 1) > 1 else None,
        earlier_events=items[:-_SHOWN_EVENTS],
        events=items[-_SHOWN_EVENTS:],
    )


def in_words(reason: str | None) -> str:
    """A bank's code as people say it: `ACCOUNT_CLOSED` is `account closed`."""
    said = (reason or "").strip().replace("_", " ")
    return said.lower() if said.isupper() else said


def _sentence(withdrawal: WithdrawalView, bank: str) -> str:
    is_behind_others = withdrawal.waiting_for is WaitingFor.EARLIER_WITHDRAWAL
    said = _BEHIND_OTHERS if is_behind_others else _SENTENCES[withdrawal.status]
    reason = in_words(withdrawal.failure_reason)
    return said.format(bank=bank, again=_again(withdrawal.next_check_at), because=f": {reason}" if reason else "")


def _again(next_check_at: datetime | None) -> str:
    if next_check_at is None:
        return "shortly"
    return "in a moment" if next_check_at - clock.now() < _SOON else f"at {formatting.at(next_check_at)}"


def _place(position: int | None) -> str | None:
    if position is None:
        return None
    ahead = position - 1
    return "First in your queue" if ahead == 0 else f"{position} in your queue, {ahead} ahead of it"


def _item(event: TimelineEvent, bank: str) -> TimelineItem:
    kind, facts = event.kind, event.facts
    utr, reason, next_check_at = facts.get("utr"), facts.get("reason"), facts.get("next_check_at")
    notes = []
    if utr:
        notes.append(f"UTR {utr}")
    if kind in _BAD_EVENTS and reason:
        notes.append(f"Reason: {in_words(reason)}")
    if next_check_at is not None:
        notes.append(f"Next check {formatting.at(next_check_at)}")
    tones = (("good", _GOOD_EVENTS), ("bad", _BAD_EVENTS), ("calm", _CALM_EVENTS))
    tone = next((tone for tone, kinds in tones if kind in kinds), "wait")
    return TimelineItem(words_of(kind, bank=bank), event.at, " · ".join(notes), tone)
