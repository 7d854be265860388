"""A withdrawal in plain words: what it is doing, what it waits for, and each step on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared import clock
from shared.banks.table import BANKS
from shared.models.withdrawal import WithdrawalStatus
from shared.pages import formatting

_SOON = timedelta(seconds=60)
_SHOWN_STEPS = 6
"""A bank that stays away makes a long story: what is older than this can be unfolded."""
_GOOD_STEPS = frozenset({"paid", "resolved_paid"})
_BAD_STEPS = frozenset({"refused", "returned", "resolved_failed"})
_CALM_STEPS = frozenset({"queued", "cancelled", "sending"})
_MARKS = {"succeeded": ("good", "check"), "failed": ("bad", "cross"), "reversed": ("bad", "undo")}
_HEADINGS = {
    "queued": "In your queue",
    "in_flight": "On its way",
    "waiting": "Waiting for the bank",
    "unknown": "Waiting for the bank",
    "needs_review": "We are looking into it",
    "succeeded": "Paid out",
    "failed": "The bank refused it",
    "cancelled": "Cancelled",
    "reversed": "The bank sent it back",
}
_LABELS = {
    "queued": "In the queue",
    "in_flight": "On its way",
    "waiting": "Waiting",
    "unknown": "Waiting",
    "needs_review": "Looked into",
    "succeeded": "Paid out",
    "failed": "Refused",
    "cancelled": "Cancelled",
    "reversed": "Sent back",
}
_SENTENCES = {
    "queued": "Next to be sent to {bank}.",
    "in_flight": "It is being sent to {bank} now.",
    "waiting": "{bank} cannot be reached, so nothing has been sent yet. The next attempt is {again}.",
    "unknown": "{bank} has not told us yet whether it was done. We ask again {again}.",
    "needs_review": "This takes longer than it should, so somebody here looks at it. Your money is kept aside.",
    "succeeded": "{bank} has paid it into the account.",
    "failed": "{bank} would not pay it out{because}. The money is available again.",
    "cancelled": "Nothing was sent. The money is available again.",
    "reversed": "The receiving bank returned it{because}. The money is in your wallet again.",
}
_BEHIND_OTHERS = "It is sent to {bank} once your withdrawals before it are through."


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline, as `ui.timeline` takes it."""

    title: str
    at: datetime
    note: str
    tone: str


@dataclass(frozen=True, slots=True)
class WithdrawalView:
    """What a page says of a withdrawal. `is_open`: something more will happen by itself."""

    label: str
    heading: str
    sentence: str
    tone: str
    icon: str
    bank: str
    is_open: bool
    place: str | None
    created_at: datetime
    earlier_steps: list[Step]
    steps: list[Step]


def view_of(shown: Mapping[str, Any]) -> WithdrawalView:
    """In words what `shared.withdrawals.queries` says in data; `timeline` may be missing."""
    status, bank = shown["status"], BANKS[shown["bank"]].name
    is_open = not WithdrawalStatus(status).is_final
    tone, icon = _MARKS.get(status, ("calm", "cross") if status == "cancelled" else ("wait", "clock"))
    steps = [_step(each) for each in shown.get("timeline", ())]
    return WithdrawalView(
        label=_LABELS[status] if (shown["position"] or 1) == 1 else f"{shown['position']} in your queue",
        heading=_HEADINGS[status],
        sentence=_sentence(shown, bank),
        tone=tone,
        icon=icon,
        bank=bank,
        is_open=is_open,
        place=_place(shown["position"]),
        created_at=datetime.fromisoformat(shown["created_at"]),
        earlier_steps=steps[:-_SHOWN_STEPS],
        steps=steps[-_SHOWN_STEPS:],
    )


def in_words(reason: str | None) -> str:
    """A bank's code as a person would say it: `ACCOUNT_CLOSED` is `account closed`."""
    said = (reason or "").strip().replace("_", " ")
    return said.lower() if said.isupper() else said


def _sentence(shown: Mapping[str, Any], bank: str) -> str:
    is_behind_others = shown["waiting_for"] == "earlier_withdrawal"
    said = _BEHIND_OTHERS if is_behind_others else _SENTENCES[shown["status"]]
    reason = in_words(shown["failure_reason"])
    return said.format(bank=bank, again=_again(shown["next_check_at"]), because=f": {reason}" if reason else "")


def _again(next_check_at: str | None) -> str:
    if next_check_at is None:
        return "shortly"
    moment = datetime.fromisoformat(next_check_at)
    return "in a moment" if moment - clock.now() < _SOON else f"at {formatting.at(moment)}"


def _place(position: int | None) -> str | None:
    if position is None:
        return None
    ahead = position - 1
    return "First in your queue" if ahead == 0 else f"{position} in your queue, {ahead} ahead of it"


def _step(line: Mapping[str, Any]) -> Step:
    kind, facts = line["kind"], line["facts"]
    notes = []
    if facts.get("utr"):
        notes.append(f"UTR {facts['utr']}")
    if kind in _BAD_STEPS and facts.get("reason"):
        notes.append(f"Reason: {in_words(facts['reason'])}")
    if facts.get("next_check_at"):
        notes.append(f"Next check {formatting.at(datetime.fromisoformat(facts['next_check_at']))}")
    tones = (("good", _GOOD_STEPS), ("bad", _BAD_STEPS), ("calm", _CALM_STEPS))
    tone = next((tone for tone, kinds in tones if kind in kinds), "wait")
    return Step(line["message"], datetime.fromisoformat(line["at"]), " · ".join(notes), tone)
