"""The states of a withdrawal: what follows from what was just learnt. Pure: no database, no clock.

`waiting` means that the bank certainly has nothing under way. Only from there, and from the queue, is a payout sent.
`unknown` means that the bank may have it. Then the bank is asked, and the payout is not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from shared.config import WithdrawalTimings
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.backoff import delay_seconds
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import (
    CircuitOpen,
    Conclusion,
    Fact,
    InProgress,
    LeaseExpired,
    MayBeDone,
    NoAnswer,
    NotCovered,
    NotDone,
    NotFoundAtBank,
    Paid,
    PayoutRefused,
    PayoutReversed,
    Uncertainty,
    WrongAmount,
)


class MoneyMove(StrEnum):
    """What a transition does with the money."""

    CAPTURE = "capture"
    RELEASE = "release"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known of a withdrawal."""

    status: WithdrawalStatus
    active_since: datetime
    retries: int = 0
    first_not_found_at: datetime | None = None
    was_acknowledged: bool = False
    """The bank has acknowledged this payout at least once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """When a transition is decided, and with which timings. `jitter` is drawn from [0, 1)."""

    now: datetime
    timings: WithdrawalTimings
    jitter: float

    def after(self, seconds: float) -> datetime:
        """So many seconds from now."""
        return self.now + timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Where the withdrawal goes. `money` lists the moves in order; they happen in the transaction that writes it."""

    status: WithdrawalStatus
    kind: EventKind
    facts: EventFacts = field(default_factory=EventFacts)
    money: tuple[MoneyMove, ...] = ()
    next_attempt_at: datetime | None = None
    retries: int = 0
    first_not_found_at: datetime | None = None
    adds_event: bool = True
    """Whether the timeline gets an event: False when it already says the same."""


def conclude(fact: Conclusion) -> Transition:
    """The end of an active withdrawal."""
    match fact:
        case Paid():
            return Transition(
                status=WithdrawalStatus.SUCCEEDED,
                kind=EventKind.PAID,
                facts={"utr": fact.utr},
                money=(MoneyMove.CAPTURE,),
            )
        case PayoutRefused():
            return Transition(
                status=WithdrawalStatus.FAILED,
                kind=EventKind.REFUSED,
                facts={"reason": fact.reason},
                money=(MoneyMove.RELEASE,),
            )
        case PayoutReversed():
            # The money left the bank's book and came back, and so it does in ours.
            return Transition(
                status=WithdrawalStatus.REVERSED,
                kind=EventKind.REVERSED,
                facts={"utr": fact.utr, "reason": fact.reason},
                money=(MoneyMove.CAPTURE, MoneyMove.REVERSE),
            )
        case _:
            assert_never(fact)


def decide(state: State, fact: Fact, context: Context) -> Transition:
    """The next transition of a withdrawal that is active or about to be.

    A conclusion ends it, whatever was believed before. Otherwise it goes on. After `review_after_seconds` it needs
    review: the hold stays, and the bank is still asked, every `retry_cap_seconds`.
    """
    if isinstance(fact, Conclusion):
        return conclude(fact)
    transition = _go_on(state, fact, context)
    if WithdrawalStatus.NEEDS_REVIEW in (transition.status, state.status):
        return _review(state, transition, context)
    overdue_at = state.active_since + timedelta(seconds=context.timings.review_after_seconds)
    if context.now >= overdue_at and not isinstance(fact, LeaseExpired):
        return _review(state, transition, context)
    return transition


def _go_on(state: State, fact: Uncertainty, context: Context) -> Transition:
    later = context.after(delay_seconds(context.timings, state.retries, context.jitter))
    match fact:
        case NotDone():
            transition = _not_done(state, fact, context, later)
        case MayBeDone():
            transition = _ask_bank(state, EventKind.BANK_SLOW, {"reason": fact.reason}, context.now)
        case InProgress():
            is_new = state.status is WithdrawalStatus.IN_FLIGHT or not state.was_acknowledged
            transition = _ask_bank(state, EventKind.PROCESSING, {"next_check_at": later}, later, adds_event=is_new)
        case NoAnswer():
            facts: EventFacts = {"next_check_at": later, "reason": fact.reason}
            transition = _ask_bank(state, EventKind.NO_ANSWER, facts, later)
            transition = replace(transition, first_not_found_at=state.first_not_found_at)
        case NotFoundAtBank():
            transition = _not_found(state, context, later)
        case CircuitOpen():
            transition = _circuit_open(state, fact, context)
        case WrongAmount():
            transition = Transition(
                status=WithdrawalStatus.NEEDS_REVIEW, kind=EventKind.AMOUNT_MISMATCH, facts={"amount": fact.amount}
            )
        case NotCovered():
            transition = Transition(
                status=WithdrawalStatus.NEEDS_REVIEW,
                kind=EventKind.NEEDS_REVIEW,
                facts={"reason": "our books do not cover it"},
            )
        case LeaseExpired():
            transition = Transition(
                status=WithdrawalStatus.UNKNOWN,
                kind=EventKind.INTERRUPTED,
                next_attempt_at=context.now,
                retries=state.retries,
                first_not_found_at=state.first_not_found_at,
            )
        case _:
            assert_never(fact)
    return transition


def _ask_bank(state: State, kind: EventKind, facts: EventFacts, at: datetime, *, adds_event: bool = True) -> Transition:
    """The bank may have it, so it is asked at that time. One more try that settled nothing."""
    return Transition(
        status=WithdrawalStatus.UNKNOWN,
        kind=kind,
        facts=facts,
        next_attempt_at=at,
        retries=state.retries + 1,
        adds_event=adds_event,
    )


def _not_done(state: State, fact: NotDone, context: Context, later: datetime) -> Transition:
    if state.was_acknowledged:
        # This send did not arrive, but an earlier one did. Only the bank knows what became of it.
        return _ask_bank(state, EventKind.DELAYED_BUT_KNOWN, {"reason": fact.reason}, context.now)
    return Transition(
        status=WithdrawalStatus.WAITING,
        kind=EventKind.BANK_DOWN if fact.is_about_bank else EventKind.DELAYED,
        facts={"next_check_at": later, "reason": fact.reason},
        next_attempt_at=later,
        retries=state.retries + 1,
    )


def _not_found(state: State, context: Context, later: datetime) -> Transition:
    """It is safe to send again after two answers "not found", a grace period apart.

    A request that timed out for us may still be on its way to the bank, so one answer is not enough, and the grace
    period is at least as long as one call. When the bank had the payout before, it may still pay it: that needs review.
    """
    grace = timedelta(seconds=max(context.timings.not_found_grace_seconds, context.timings.bank_timeout_seconds))
    again = Transition(
        status=WithdrawalStatus.UNKNOWN,
        kind=EventKind.NOT_FOUND,
        facts={"next_check_at": context.now + grace},
        next_attempt_at=context.now + grace,
        retries=state.retries,
        first_not_found_at=context.now,
    )
    missing_since = state.first_not_found_at
    if missing_since is None:
        return again
    if context.now < missing_since + grace:
        return replace(
            again, facts={}, next_attempt_at=missing_since + grace, first_not_found_at=missing_since, adds_event=False
        )
    if state.was_acknowledged:
        return replace(
            again, status=WithdrawalStatus.NEEDS_REVIEW, kind=EventKind.LOST_BY_BANK, facts={}, first_not_found_at=None
        )
    return Transition(
        status=WithdrawalStatus.WAITING,
        kind=EventKind.NEVER_ARRIVED,
        facts={"next_check_at": later},
        next_attempt_at=later,
        retries=state.retries,
    )


def _circuit_open(state: State, fact: CircuitOpen, context: Context) -> Transition:
    # A little spread, so that not every withdrawal calls the bank at the moment the circuit allows it.
    again_at = fact.until + timedelta(seconds=context.timings.retry_base_seconds * context.jitter)
    status = WithdrawalStatus.WAITING if state.status.may_be_sent else WithdrawalStatus.UNKNOWN
    return Transition(
        status=status,
        kind=EventKind.CIRCUIT_OPEN,
        facts={"next_check_at": again_at},
        next_attempt_at=again_at,
        retries=state.retries,
        first_not_found_at=state.first_not_found_at,
        adds_event=status is not state.status,
    )


def _review(state: State, transition: Transition, context: Context) -> Transition:
    # A mismatch and a lost payout get an event of their own; that it is overdue is said once.
    names_a_cause = transition.kind in (EventKind.AMOUNT_MISMATCH, EventKind.LOST_BY_BANK)
    return replace(
        transition,
        status=WithdrawalStatus.NEEDS_REVIEW,
        kind=transition.kind if names_a_cause else EventKind.NEEDS_REVIEW,
        next_attempt_at=context.after(context.timings.retry_cap_seconds),
        adds_event=state.status is not WithdrawalStatus.NEEDS_REVIEW,
    )


def verdict_on(
    fact: Conclusion, *, status: WithdrawalStatus, known_utr: str | None, is_being_sent: bool = False
) -> tuple[Verdict, Transition | None]:
    """What the bank's word means for a withdrawal in any status, and the transition that follows, if any.

    It ends a withdrawal that is active, whatever we believed. One exception: a refusal that comes while the payout is
    being sent may be about an earlier send. It is noted, the hold stays, and the outcome of this send decides.
    For a withdrawal that is not active it is a duplicate, a reversal or a contradiction. A contradiction changes
    nothing and needs an operator.
    """
    if status.is_active and is_being_sent and isinstance(fact, PayoutRefused):
        return Verdict.NOTED, None
    if status.is_active:
        return Verdict.SETTLED, conclude(fact)
    is_same_payout = not isinstance(fact, PayoutRefused) and (known_utr is None or fact.utr in (None, known_utr))
    match fact, status:
        case PayoutReversed(), WithdrawalStatus.SUCCEEDED if is_same_payout:
            return Verdict.SETTLED, replace(conclude(fact), money=(MoneyMove.REVERSE,))
        case (Paid(), WithdrawalStatus.SUCCEEDED | WithdrawalStatus.REVERSED) | (
            PayoutReversed(),
            WithdrawalStatus.REVERSED,
        ) if is_same_payout:
            return Verdict.DUPLICATE, None
        case PayoutRefused(), WithdrawalStatus.FAILED:
            return Verdict.DUPLICATE, None
        case _:
            return Verdict.CONTRADICTION, None
