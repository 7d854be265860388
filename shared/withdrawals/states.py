"""How a withdrawal goes on from what was just learnt: the whole state machine, pure. No database, no clock.

What matters is what is *known*. `waiting` means the bank certainly has nothing under way; only from there (and
from the queue) is a payout ever sent. `unknown` means it may: then the bank is asked, never told again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, assert_never

from shared.clock import rfc3339
from shared.config import WithdrawalTimings
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.backoff import delay_seconds

MoneyMove = Literal["capture", "release", "reverse"]


@dataclass(frozen=True, slots=True)
class Paid:
    """The bank paid it out."""

    utr: str | None


@dataclass(frozen=True, slots=True)
class TurnedDown:
    """The bank will never pay it out."""

    reason: str


@dataclass(frozen=True, slots=True)
class SentBack:
    """The bank paid it out, and the money came back."""

    utr: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class WrongAmount:
    """The bank speaks of another amount (paise) under our reference."""

    amount: int


@dataclass(frozen=True, slots=True)
class InProgress:
    """The bank has it and will tell later."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """The send certainly did not reach the bank. `is_about_bank` is false when we did not even try."""

    reason: str
    is_about_bank: bool = True


@dataclass(frozen=True, slots=True)
class MayBeDone:
    """The send may have reached the bank; nobody knows."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotKnownThere:
    """Asked, the bank says it knows nothing of it."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Asked, the bank gave no answer one can act on."""

    reason: str


@dataclass(frozen=True, slots=True)
class BankShut:
    """The circuit breaker lets nobody through before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Whoever held the lease is gone, perhaps in the middle of a send."""


Conclusion = Paid | TurnedDown | SentBack
Uncertainty = WrongAmount | InProgress | NotDone | MayBeDone | NotKnownThere | NoAnswer | BankShut | Abandoned
Fact = Conclusion | Uncertainty


@dataclass(frozen=True, slots=True)
class Standing:
    """What the machine needs to know of a withdrawal."""

    status: WithdrawalStatus
    active_since: datetime
    retries: int = 0
    first_not_found_at: datetime | None = None
    was_accepted: bool = False
    """The bank once spoke of it as of something that it has, or had."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is decided, with which timings; `jitter` is drawn from [0, 1)."""

    now: datetime
    timings: WithdrawalTimings
    jitter: float


@dataclass(frozen=True, slots=True)
class Step:
    """Where the withdrawal goes. Money moves, in order, in the transaction that writes it."""

    status: WithdrawalStatus
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    money: tuple[MoneyMove, ...] = ()
    next_attempt_at: datetime | None = None
    retries: int = 0
    first_not_found_at: datetime | None = None
    is_told: bool = True
    """Whether the timeline gets a line; the same news over and over does not."""


def conclude(fact: Conclusion) -> Step:
    """The end of an active withdrawal."""
    match fact:
        case Paid():
            return Step(WithdrawalStatus.SUCCEEDED, "paid", {"utr": fact.utr}, ("capture",))
        case TurnedDown():
            return Step(WithdrawalStatus.FAILED, "refused", {"reason": fact.reason}, ("release",))
        case SentBack():
            # The bank's book has it leave and come back, so ours does too.
            return Step(
                WithdrawalStatus.REVERSED, "returned", {"utr": fact.utr, "reason": fact.reason}, ("capture", "reverse")
            )
        case _:
            assert_never(fact)


def decide(standing: Standing, fact: Fact, moment: Moment) -> Step:
    """The next step of an active (or just starting) withdrawal.

    A conclusion ends it, whatever was believed before. Otherwise it goes on; past `review_after_seconds`
    a person has to look, the hold stays, and the bank is only asked, slowly.
    """
    if isinstance(fact, Paid | TurnedDown | SentBack):
        return conclude(fact)
    step = _continue(standing, fact, moment)
    if step.status is WithdrawalStatus.NEEDS_REVIEW or standing.status is WithdrawalStatus.NEEDS_REVIEW:
        return _stay_under_review(standing, step, moment)
    overdue_at = standing.active_since + timedelta(seconds=moment.timings.review_after_seconds)
    if moment.now >= overdue_at and not isinstance(fact, Abandoned):
        return _stay_under_review(standing, step, moment)
    return step


def _continue(standing: Standing, fact: Uncertainty, moment: Moment) -> Step:
    retries = standing.retries + 1
    later = moment.now + timedelta(seconds=delay_seconds(moment.timings, standing.retries, moment.jitter))
    missing_since = standing.first_not_found_at
    match fact:
        case NotDone() if standing.was_accepted:
            # This send did not arrive, but an earlier one did. What became of it only the bank can tell.
            step = Step(WithdrawalStatus.UNKNOWN, "delayed_but_known", {"reason": fact.reason}, (), moment.now, retries)
        case NotDone():
            kind = "bank_down" if fact.is_about_bank else "delayed"
            step = Step(WithdrawalStatus.WAITING, kind, _with_next(later, fact.reason), (), later, retries)
        case MayBeDone():
            step = Step(WithdrawalStatus.UNKNOWN, "bank_slow", {"reason": fact.reason}, (), moment.now, retries)
        case InProgress():
            is_news = standing.status is WithdrawalStatus.IN_FLIGHT or not standing.was_accepted
            step = Step(WithdrawalStatus.UNKNOWN, "processing", _with_next(later), (), later, retries, None, is_news)
        case NoAnswer():
            step = Step(
                WithdrawalStatus.UNKNOWN, "no_answer", _with_next(later, fact.reason), (), later, retries, missing_since
            )
        case NotKnownThere():
            step = _not_found(standing, moment, later)
        case BankShut():
            step = _bank_shut(standing, fact, moment)
        case WrongAmount():
            step = Step(WithdrawalStatus.NEEDS_REVIEW, "amount_mismatch", {"amount": fact.amount})
        case Abandoned():
            step = Step(WithdrawalStatus.UNKNOWN, "interrupted", {}, (), moment.now, standing.retries, missing_since)
        case _:
            assert_never(fact)
    return step


def _not_found(standing: Standing, moment: Moment, later: datetime) -> Step:
    """Twice `not found`, a grace period apart, and only then is it safe to send again.

    A request that timed out on us may still be on its way to the bank, so once is not enough, and the
    grace is never shorter than one call. A bank that had it and lost sight of it may pay it yet: then a person has
    to look.
    """
    grace = timedelta(seconds=max(moment.timings.not_found_grace_seconds, moment.timings.bank_timeout_seconds))
    missing_since = standing.first_not_found_at
    if missing_since is None:
        again_at = moment.now + grace
        return Step(
            WithdrawalStatus.UNKNOWN, "not_found", _with_next(again_at), (), again_at, standing.retries, moment.now
        )
    if moment.now < missing_since + grace:
        again_at = missing_since + grace
        return Step(
            WithdrawalStatus.UNKNOWN, "not_found", {}, (), again_at, standing.retries, missing_since, is_told=False
        )
    if standing.was_accepted:
        return Step(WithdrawalStatus.NEEDS_REVIEW, "lost_sight", {}, (), later, standing.retries)
    return Step(WithdrawalStatus.WAITING, "never_arrived", _with_next(later), (), later, standing.retries)


def _bank_shut(standing: Standing, fact: BankShut, moment: Moment) -> Step:
    # A little spread, so that not everybody knocks the moment the bank may be asked again.
    spread = timedelta(seconds=moment.timings.retry_base_seconds * moment.jitter)
    again_at = fact.until + spread
    status = WithdrawalStatus.WAITING if standing.status.may_be_sent else WithdrawalStatus.UNKNOWN
    return Step(
        status,
        "bank_shut",
        _with_next(again_at),
        (),
        again_at,
        standing.retries,
        standing.first_not_found_at,
        is_told=status != standing.status,
    )


def _stay_under_review(standing: Standing, step: Step, moment: Moment) -> Step:
    again_at = moment.now + timedelta(seconds=moment.timings.retry_cap_seconds)
    is_new = standing.status is not WithdrawalStatus.NEEDS_REVIEW
    # What is not merely overdue is worth a line of its own; being overdue is told once.
    kind = step.kind if step.kind in ("amount_mismatch", "lost_sight") else "needs_review"
    return replace(step, status=WithdrawalStatus.NEEDS_REVIEW, kind=kind, next_attempt_at=again_at, is_told=is_new)


def _with_next(moment: datetime, reason: str | None = None) -> dict[str, Any]:
    facts: dict[str, Any] = {"next_check_at": rfc3339(moment)}
    return facts if reason is None else {**facts, "reason": reason}


def judge(
    status: WithdrawalStatus, known_utr: str | None, fact: Conclusion, *, is_being_sent: bool = False
) -> tuple[Verdict, Step | None]:
    """What a bank's late word means for a withdrawal in any status, and the step it takes, if any.

    The bank's word wins over our guess, so it ends whatever is active; only a refusal heard while the payout
    is being sent may be about an earlier send, so it is noted, the hold stays, and what becomes of this send decides.
    Against something already final it is either old news or a contradiction, which changes nothing and has to be
    looked at.
    """
    if status.is_active and is_being_sent and isinstance(fact, TurnedDown):
        return Verdict.NOTED, None
    if status.is_active:
        return Verdict.SETTLED, conclude(fact)
    is_same_payout = not isinstance(fact, TurnedDown) and (known_utr is None or fact.utr in (None, known_utr))
    match fact, status:
        case SentBack(), WithdrawalStatus.SUCCEEDED if is_same_payout:
            return Verdict.SETTLED, replace(conclude(fact), money=("reverse",))
        case (Paid(), WithdrawalStatus.SUCCEEDED | WithdrawalStatus.REVERSED) | (
            SentBack(),
            WithdrawalStatus.REVERSED,
        ) if is_same_payout:
            return Verdict.DUPLICATE, None
        case TurnedDown(), WithdrawalStatus.FAILED:
            return Verdict.DUPLICATE, None
        case _:
            return Verdict.CONTRADICTION, None
