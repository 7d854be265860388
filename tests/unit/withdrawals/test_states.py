"""The state machine without a database: what follows from what is known, and that no payout is made twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import WithdrawalTimings
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.backoff import delay_seconds
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
from shared.withdrawals.states import Context, State, Transition, decide, verdict_on

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIMINGS = WithdrawalTimings()
GRACE = timedelta(seconds=TIMINGS.not_found_grace_seconds)
UNCERTAIN: list[Uncertainty] = [
    InProgress(),
    NotDone("ConnectError"),
    MayBeDone("ReadTimeout"),
    NotFoundAtBank(),
    NoAnswer("ReadTimeout"),
    CircuitOpen(START),
    WrongAmount(1),
    NotCovered(),
]
CONCLUSIONS: list[Conclusion] = [Paid("UTR1"), PayoutRefused("ACCOUNT_CLOSED"), PayoutReversed("UTR1", "RETURNED")]


def after(seconds: float = 0, jitter: float = 0.5, timings: WithdrawalTimings = TIMINGS) -> Context:
    return Context(now=START + timedelta(seconds=seconds), timings=timings, jitter=jitter)


def state(status: str = "in_flight", retries: int = 0, first_not_found_at: datetime | None = None) -> State:
    return State(
        status=WithdrawalStatus(status),
        active_since=START,
        retries=retries,
        first_not_found_at=first_not_found_at,
    )


def named(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("status", WithdrawalStatus.active())
@pytest.mark.parametrize(
    ("fact", "expected", "money"),
    [
        (Paid("UTR1"), "succeeded", ("capture",)),
        (PayoutRefused("ACCOUNT_CLOSED"), "failed", ("release",)),
        (PayoutReversed("UTR1", "RETURNED"), "reversed", ("capture", "reverse")),
    ],
)
def test_a_conclusion_ends_an_active_withdrawal(
    status: str, fact: Conclusion, expected: str, money: tuple[str, ...]
) -> None:
    transition = decide(state(status), fact, after())
    assert (transition.status, transition.money, transition.next_attempt_at) == (expected, money, None)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (NotDone("ConnectError"), "waiting"),
        (NotDone("our own delay", is_about_bank=False), "waiting"),
        (MayBeDone("ReadTimeout"), "unknown"),
        (InProgress(), "unknown"),
        (LeaseExpired(), "unknown"),
        (WrongAmount(1), "needs_review"),
    ],
    ids=named,
)
def test_after_a_send_only_certainty_that_it_did_not_happen_leads_back_to_sending(fact: Fact, expected: str) -> None:
    transition = decide(state("in_flight"), fact, after())
    assert (transition.status, transition.money) == (expected, ())


@pytest.mark.parametrize("fact", [NoAnswer("ReadTimeout"), InProgress(), NotFoundAtBank()], ids=named)
def test_an_unhelpful_answer_to_an_enquiry_leaves_it_unknown(fact: Fact) -> None:
    assert decide(state("unknown"), fact, after()).status == "unknown"


def test_one_not_found_is_not_enough() -> None:
    first = decide(state("unknown"), NotFoundAtBank(), after(0))
    assert (first.status, first.first_not_found_at, first.next_attempt_at) == ("unknown", START, START + GRACE)


def test_a_second_not_found_within_the_grace_period_does_not_count() -> None:
    again = decide(state("unknown", 1, START), NotFoundAtBank(), after(GRACE.total_seconds() - 0.001))
    assert (again.status, again.first_not_found_at, again.next_attempt_at) == ("unknown", START, START + GRACE)
    assert not again.adds_event


def test_a_second_not_found_a_grace_period_later_allows_sending_again() -> None:
    transition = decide(state("unknown", 1, START), NotFoundAtBank(), after(GRACE.total_seconds()))
    assert (transition.status, transition.kind, transition.first_not_found_at) == ("waiting", "never_arrived", None)


def test_a_payout_that_the_bank_acknowledged_is_never_sent_again() -> None:
    """The bank may have queued it where its enquiry does not look, and may still pay it."""
    accepted = replace(state("unknown", 3, START), was_acknowledged=True)
    transition = decide(accepted, NotFoundAtBank(), after(GRACE.total_seconds()))
    assert (transition.status, transition.kind, transition.adds_event) == ("needs_review", "lost_sight", True)
    assert transition.next_attempt_at is not None


def test_the_first_acknowledgement_is_always_an_event() -> None:
    late = state("unknown", 7)
    assert decide(late, InProgress(), after(0)).adds_event
    assert not decide(replace(late, was_acknowledged=True), InProgress(), after(0)).adds_event


def test_the_grace_period_is_never_shorter_than_a_call() -> None:
    timings = WithdrawalTimings(not_found_grace_seconds=1, bank_timeout_seconds=5)
    transition = decide(state("unknown", 1, START), NotFoundAtBank(), after(4.9, timings=timings))
    assert transition.status == "unknown"


def test_an_acknowledgement_restarts_the_grace_period() -> None:
    assert decide(state("unknown", 1, START), InProgress(), after(1)).first_not_found_at is None


def test_no_answer_keeps_the_first_not_found() -> None:
    assert decide(state("unknown", 1, START), NoAnswer("ReadTimeout"), after(1)).first_not_found_at == START


@pytest.mark.parametrize(
    ("status", "expected"), [("queued", "waiting"), ("waiting", "waiting"), ("unknown", "unknown")]
)
def test_an_open_circuit_only_delays(status: str, expected: str) -> None:
    until = START + timedelta(seconds=60)
    transition = decide(state(status, 3), CircuitOpen(until), after())
    assert (transition.status, transition.retries, transition.adds_event) == (expected, 3, status != expected)
    assert transition.next_attempt_at is not None
    assert transition.next_attempt_at >= until


@pytest.mark.parametrize("fact", UNCERTAIN, ids=named)
def test_after_the_review_time_it_needs_review_and_the_hold_stays(fact: Uncertainty) -> None:
    transition = decide(state("unknown"), fact, after(TIMINGS.review_after_seconds))
    assert (transition.status, transition.money, transition.adds_event) == ("needs_review", (), True)
    assert transition.next_attempt_at == START + timedelta(
        seconds=TIMINGS.review_after_seconds + TIMINGS.retry_cap_seconds
    )


def test_after_a_crash_long_ago_the_bank_is_asked_before_it_needs_review() -> None:
    assert decide(state("in_flight"), LeaseExpired(), after(TIMINGS.review_after_seconds)).status == "unknown"


@pytest.mark.parametrize("fact", UNCERTAIN, ids=named)
def test_a_withdrawal_under_review_is_never_sent_again_and_gets_one_event(fact: Uncertainty) -> None:
    transition = decide(state("needs_review", 1, START - 2 * GRACE), fact, after())
    assert (transition.status, transition.money, transition.adds_event) == ("needs_review", (), False)


def test_only_a_wrong_amount_and_wrong_books_are_reviewed_at_once() -> None:
    early = {named(fact): decide(state("unknown"), fact, after()).status for fact in UNCERTAIN}
    assert [name for name, status in early.items() if status == "needs_review"] == ["WrongAmount", "NotCovered"]
    assert decide(state(), WrongAmount(7), after()).kind == "amount_mismatch"


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_above_the_cap_nor_above_its_doubling(retries: int, jitter: float) -> None:
    delay = delay_seconds(TIMINGS, retries, jitter)
    assert 0 <= delay <= min(TIMINGS.retry_cap_seconds, TIMINGS.retry_base_seconds * 2 ** min(retries, 60))


def test_retries_back_off() -> None:
    delays = [delay_seconds(TIMINGS, retries, 0.999) for retries in range(12)]
    assert delays == sorted(delays)
    assert delays[0] < TIMINGS.retry_base_seconds
    assert delays[-1] > 0.99 * TIMINGS.retry_cap_seconds


@pytest.mark.parametrize(
    ("status", "fact", "verdict"),
    [
        *[(status, fact, "settled") for status in WithdrawalStatus.active() for fact in CONCLUSIONS],
        ("succeeded", Paid("UTR1"), "duplicate"),
        ("succeeded", Paid(None), "duplicate"),
        ("succeeded", Paid("UTR2"), "contradiction"),
        ("succeeded", PayoutRefused("x"), "contradiction"),
        ("succeeded", PayoutReversed("UTR1", "x"), "settled"),
        ("succeeded", PayoutReversed(None, "x"), "settled"),
        ("succeeded", PayoutReversed("UTR2", "x"), "contradiction"),
        ("reversed", Paid("UTR1"), "duplicate"),
        ("reversed", PayoutReversed("UTR1", "x"), "duplicate"),
        ("reversed", PayoutReversed("UTR2", "x"), "contradiction"),
        ("reversed", PayoutRefused("x"), "contradiction"),
        ("failed", PayoutRefused("x"), "duplicate"),
        ("failed", Paid("UTR1"), "contradiction"),
        ("failed", PayoutReversed("UTR1", "x"), "contradiction"),
        *[(status, fact, "contradiction") for status in ("queued", "cancelled") for fact in CONCLUSIONS],
    ],
)
def test_the_verdict_on_a_late_notice(status: str, fact: Conclusion, verdict: str) -> None:
    known_utr = None if WithdrawalStatus(status).is_active else "UTR1"
    found, transition = verdict_on(fact, status=WithdrawalStatus(status), known_utr=known_utr)
    assert found == verdict
    assert (transition is not None) == (verdict == "settled")


@pytest.mark.parametrize("status", WithdrawalStatus.active())
@pytest.mark.parametrize(("fact", "verdict"), list(zip(CONCLUSIONS, ["settled", "noted", "settled"], strict=True)))
def test_a_refusal_that_comes_during_a_send_releases_nothing(status: str, fact: Conclusion, verdict: str) -> None:
    found, transition = verdict_on(fact, status=WithdrawalStatus(status), known_utr=None, is_being_sent=True)
    assert (found, transition is None) == (verdict, verdict == "noted")


def test_a_send_that_did_not_arrive_is_not_repeated_if_the_bank_acknowledged_the_payout() -> None:
    transition = decide(replace(state("in_flight", 2), was_acknowledged=True), NotDone("ConnectError"), after(7))
    assert (transition.status, transition.money, transition.next_attempt_at) == (
        "unknown",
        (),
        START + timedelta(seconds=7),
    )


def test_a_reversal_of_a_paid_withdrawal_credits_and_does_not_capture_again() -> None:
    _, transition = verdict_on(PayoutReversed("UTR1", "RETURNED"), status=WithdrawalStatus.SUCCEEDED, known_utr="UTR1")
    assert transition is not None
    assert (transition.status, transition.money) == ("reversed", ("reverse",))


@dataclass
class ForgetfulBank:
    """Pays every request that it gets, and sometimes only after its caller has hung up."""

    paid_at: list[float] = field(default_factory=list)
    sends: int = 0

    def pay(self, now: float, mood: str, delay: float) -> Fact:
        self.sends += 1
        if mood == "lost":
            return MayBeDone("ReadTimeout")
        if mood == "unreachable":
            return NotDone("ConnectError")
        if mood in ("late", "crash"):
            self.paid_at.append(now + delay)
            return LeaseExpired() if mood == "crash" else MayBeDone("ReadTimeout")
        self.paid_at.append(now)
        answers: dict[str, Fact] = {"paid": Paid("UTR1"), "hung": MayBeDone("ReadTimeout")}
        return answers.get(mood, InProgress())

    def enquire(self, now: float, is_answering: bool) -> Fact:
        if not is_answering:
            return NoAnswer("ReadTimeout")
        return Paid("UTR1") if any(at <= now for at in self.paid_at) else NotFoundAtBank()


MOODS = st.sampled_from(["lost", "unreachable", "late", "crash", "paid", "hung", "promised"])


@given(st.lists(st.tuples(MOODS, st.floats(0, 34.9), st.booleans(), st.floats(0, 1, exclude_max=True)), max_size=40))
def test_a_bank_without_idempotency_never_pays_twice(story: list[tuple[str, float, bool, float]]) -> None:
    """As long as a request that its caller gave up arrives within the grace period, or never."""
    bank, now = ForgetfulBank(), 0.0
    current, retries, missing = "waiting", 0, None
    for mood, delay, is_answering, jitter in story:
        if current == "waiting":
            fact = bank.pay(now, mood, delay)
            now += TIMINGS.lease_seconds if mood == "crash" else TIMINGS.bank_timeout_seconds
            current, missing = "in_flight", None
        else:
            fact = bank.enquire(now, is_answering)
        transition: Transition = decide(state(current, retries, missing), fact, after(now, jitter))
        if transition.status.is_final:
            break
        assert transition.next_attempt_at is not None
        current, retries, missing = transition.status, transition.retries, transition.first_not_found_at
        now = max(now, (transition.next_attempt_at - START).total_seconds())
    assert len(bank.paid_at) <= 1
