"""Every transition in full: what the timeline says, when the bank is asked next, what is remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.config import WithdrawalTimings
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import (
    CircuitOpen,
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
    WrongAmount,
)
from shared.withdrawals.states import Context, MoneyMove, State, Transition, decide, verdict_on

TIMINGS = WithdrawalTimings(retry_base_seconds=2, retry_cap_seconds=600, not_found_grace_seconds=30)
SINCE = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = SINCE + timedelta(seconds=100)
LATER = NOW + timedelta(seconds=8)  # half of 2 s, doubled three times
GRACE = timedelta(seconds=30)
LONG_AGO, JUST_NOW = NOW - GRACE, NOW - timedelta(seconds=10)
IN_FLIGHT, WAITING, UNKNOWN, NEEDS_REVIEW = WithdrawalStatus.active()
RETRIES = 3


def state(
    status: WithdrawalStatus = UNKNOWN, *, missing_since: datetime | None = None, was_acknowledged: bool = False
) -> State:
    return State(
        status=status,
        active_since=SINCE,
        retries=RETRIES,
        first_not_found_at=missing_since,
        was_acknowledged=was_acknowledged,
    )


def transition(
    status: WithdrawalStatus,
    kind: EventKind,
    facts: EventFacts,
    at: datetime,
    *,
    retries: int = RETRIES,
    missing_since: datetime | None = None,
    adds_event: bool = True,
) -> Transition:
    return Transition(
        status=status,
        kind=kind,
        facts=facts,
        next_attempt_at=at,
        retries=retries,
        first_not_found_at=missing_since,
        adds_event=adds_event,
    )


MISSING = state(missing_since=JUST_NOW)
ACKNOWLEDGED = state(was_acknowledged=True)
SPREAD = LATER + timedelta(seconds=1)  # half of 2 s after the circuit opens

GOING_ON: list[tuple[State, Fact, Transition]] = [
    (
        state(IN_FLIGHT),
        NotDone("refused"),
        transition(WAITING, EventKind.BANK_DOWN, {"next_check_at": LATER, "reason": "refused"}, LATER, retries=4),
    ),
    (
        state(IN_FLIGHT),
        NotDone("late", is_about_bank=False),
        transition(WAITING, EventKind.DELAYED, {"next_check_at": LATER, "reason": "late"}, LATER, retries=4),
    ),
    (
        state(IN_FLIGHT, was_acknowledged=True),
        NotDone("refused"),
        transition(UNKNOWN, EventKind.DELAYED_BUT_KNOWN, {"reason": "refused"}, NOW, retries=4),
    ),
    (
        state(IN_FLIGHT),
        MayBeDone("hung"),
        transition(UNKNOWN, EventKind.BANK_SLOW, {"reason": "hung"}, NOW, retries=4),
    ),
    (
        state(IN_FLIGHT, was_acknowledged=True),
        InProgress(),
        transition(UNKNOWN, EventKind.PROCESSING, {"next_check_at": LATER}, LATER, retries=4),
    ),
    (
        state(UNKNOWN),
        InProgress(),
        transition(UNKNOWN, EventKind.PROCESSING, {"next_check_at": LATER}, LATER, retries=4),
    ),
    (
        ACKNOWLEDGED,
        InProgress(),
        transition(UNKNOWN, EventKind.PROCESSING, {"next_check_at": LATER}, LATER, retries=4, adds_event=False),
    ),
    (
        MISSING,
        NoAnswer("hung"),
        transition(
            UNKNOWN,
            EventKind.NO_ANSWER,
            {"next_check_at": LATER, "reason": "hung"},
            LATER,
            retries=4,
            missing_since=JUST_NOW,
        ),
    ),
    (
        state(),
        NotFoundAtBank(),
        transition(UNKNOWN, EventKind.NOT_FOUND, {"next_check_at": NOW + GRACE}, NOW + GRACE, missing_since=NOW),
    ),
    (
        MISSING,
        NotFoundAtBank(),
        transition(UNKNOWN, EventKind.NOT_FOUND, {}, JUST_NOW + GRACE, missing_since=JUST_NOW, adds_event=False),
    ),
    (
        state(missing_since=LONG_AGO),
        NotFoundAtBank(),
        transition(WAITING, EventKind.NEVER_ARRIVED, {"next_check_at": LATER}, LATER),
    ),
    (
        state(missing_since=LONG_AGO, was_acknowledged=True),
        NotFoundAtBank(),
        transition(NEEDS_REVIEW, EventKind.LOST_BY_BANK, {}, NOW + timedelta(seconds=600)),
    ),
    (
        MISSING,
        CircuitOpen(LATER),
        transition(
            UNKNOWN,
            EventKind.CIRCUIT_OPEN,
            {"next_check_at": SPREAD},
            SPREAD,
            missing_since=JUST_NOW,
            adds_event=False,
        ),
    ),
    (
        state(WithdrawalStatus.QUEUED),
        CircuitOpen(LATER),
        transition(WAITING, EventKind.CIRCUIT_OPEN, {"next_check_at": SPREAD}, SPREAD),
    ),
    (
        MISSING,
        WrongAmount(7),
        transition(NEEDS_REVIEW, EventKind.AMOUNT_MISMATCH, {"amount": 7}, NOW + timedelta(seconds=600), retries=0),
    ),
    (
        state(IN_FLIGHT),
        NotCovered(),
        transition(
            NEEDS_REVIEW,
            EventKind.NEEDS_REVIEW,
            {"reason": "our books do not cover it"},
            NOW + timedelta(seconds=600),
            retries=0,
        ),
    ),
    (
        state(IN_FLIGHT, missing_since=JUST_NOW),
        LeaseExpired(),
        transition(UNKNOWN, EventKind.INTERRUPTED, {}, NOW, missing_since=JUST_NOW),
    ),
]
ENDS: list[tuple[Fact, Transition]] = [
    (
        Paid("UTR1"),
        Transition(
            status=WithdrawalStatus.SUCCEEDED, kind=EventKind.PAID, facts={"utr": "UTR1"}, money=(MoneyMove.CAPTURE,)
        ),
    ),
    (
        PayoutRefused("closed"),
        Transition(
            status=WithdrawalStatus.FAILED,
            kind=EventKind.REFUSED,
            facts={"reason": "closed"},
            money=(MoneyMove.RELEASE,),
        ),
    ),
    (
        PayoutReversed("UTR1", "returned"),
        Transition(
            status=WithdrawalStatus.REVERSED,
            kind=EventKind.REVERSED,
            facts={"utr": "UTR1", "reason": "returned"},
            money=(MoneyMove.CAPTURE, MoneyMove.REVERSE),
        ),
    ),
]


def after(seconds: float = 100) -> Context:
    return Context(now=SINCE + timedelta(seconds=seconds), timings=TIMINGS, jitter=0.5)


@pytest.mark.parametrize(("known", "fact", "expected"), GOING_ON)
def test_a_withdrawal_that_goes_on(known: State, fact: Fact, expected: Transition) -> None:
    assert decide(known, fact, after()) == expected


@pytest.mark.parametrize(("fact", "expected"), ENDS)
def test_a_withdrawal_that_ends(fact: Fact, expected: Transition) -> None:
    assert decide(MISSING, fact, after()) == expected


def test_a_payment_that_comes_back_after_it_was_booked_only_moves_back() -> None:
    _, expected = ENDS[2]
    _, found = verdict_on(
        PayoutReversed("UTR1", "returned"), status=WithdrawalStatus.SUCCEEDED, known_utr="UTR1", is_being_sent=False
    )
    assert found == replace(expected, money=(MoneyMove.REVERSE,))


def test_an_overdue_withdrawal_says_so_once_and_is_asked_about_now_and_then() -> None:
    seconds = TIMINGS.review_after_seconds
    now = SINCE + timedelta(seconds=seconds)
    expected = transition(
        NEEDS_REVIEW, EventKind.NEEDS_REVIEW, {"reason": "hung"}, now + timedelta(seconds=600), retries=4
    )
    assert decide(state(), MayBeDone("hung"), after(seconds)) == expected
    assert decide(state(NEEDS_REVIEW), MayBeDone("hung"), after(seconds)) == replace(expected, adds_event=False)
