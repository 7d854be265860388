"""The laws of settling an on-ramp, held against any sequence of notices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.banks.notices import PaymentNotice
from shared.ledger import system_accounts
from shared.ledger.rules import Transfer
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.rules import OnRampState, judge

OWNER, WALLET = UUID(int=1), UUID(int=2)
START = datetime(2026, 11, 26, 12, tzinfo=UTC)
PENDING = OnRampState(
    status=OnRampStatus.PENDING,
    id=UUID(int=3),
    owner_id=OWNER,
    account_id=WALLET,
    bank="hdfc",
    amount=500,
    currency="INR",
    bank_reference=None,
    failure_reason=None,
    transfer_id=None,
    is_late_success=False,
    is_contradicted=False,
    settled_at=None,
)

notices = st.builds(
    PaymentNotice,
    bank=st.just("hdfc"),
    event=st.sampled_from(["success", "failure"]),
    token=st.just("tok"),
    user_id=st.sampled_from([str(OWNER), str(OWNER), str(OWNER), "another"]),
    amount=st.sampled_from([500, 500, 500, 501]),
    bank_reference=st.sampled_from(["UTR1", "UTR2", None]),
)


def after(said: list[PaymentNotice]) -> tuple[OnRampState, list[Verdict], list[Transfer]]:
    on_ramp, verdicts, transfers = PENDING, [], []
    for number, notice in enumerate(said):
        at = START + timedelta(seconds=number)
        decision = judge(on_ramp, notice, transfer_id=UUID(int=100 + number), at=at)
        on_ramp = decision.on_ramp
        verdicts.append(decision.verdict)
        transfers += [decision.credit] if decision.credit is not None else []
    return on_ramp, verdicts, transfers


@given(st.lists(notices, max_size=8))
def test_it_is_credited_once_if_the_bank_ever_truly_says_success(said: list[PaymentNotice]) -> None:
    on_ramp, _, transfers = after(said)
    true = [notice for notice in said if notice.amount == 500 and notice.user_id == str(OWNER)]
    events = [notice.event for notice in true]
    assert len(transfers) == ("success" in events)
    for transfer in transfers:
        assert transfer.id == on_ramp.transfer_id
        assert (transfer.debit_account_id, transfer.credit_account_id) == (system_accounts.SETTLEMENT["hdfc"], WALLET)
        assert (transfer.amount, transfer.initiated_by) == (500, OWNER)
    expected = OnRampStatus.SUCCESS if "success" in events else OnRampStatus.FAILURE if events else OnRampStatus.PENDING
    assert on_ramp.status is expected
    assert (on_ramp.settled_at is None) == (on_ramp.status is OnRampStatus.PENDING)
    assert (on_ramp.failure_reason is None) == (on_ramp.status is not OnRampStatus.FAILURE)


@given(st.lists(notices, max_size=8))
def test_success_and_failure_of_one_payment_are_told_apart(said: list[PaymentNotice]) -> None:
    on_ramp, verdicts, _ = after(said)
    events = [notice.event for notice in said if notice.amount == 500 and notice.user_id == str(OWNER)]
    first = events.index("success") if "success" in events else len(events)
    assert on_ramp.is_late_success == ("success" in events and "failure" in events[:first])
    assert on_ramp.is_contradicted == ("failure" in events[first:])
    assert on_ramp.is_contradicted == (Verdict.CONTRADICTION in verdicts)


@given(st.lists(notices, max_size=6), notices)
def test_a_notice_that_settles_nothing_leaves_the_row_alone(said: list[PaymentNotice], last: PaymentNotice) -> None:
    on_ramp, _, _ = after(said)
    decision = judge(on_ramp, last, transfer_id=UUID(int=1), at=START)
    if decision.verdict not in (Verdict.SETTLED, Verdict.CONTRADICTION):
        assert decision.on_ramp is on_ramp
    again = judge(decision.on_ramp, last, transfer_id=UUID(int=2), at=START)
    assert again.credit is None


@dataclass(frozen=True)
class WishToCancel:
    """The person asks to cancel while the on-ramp is pending."""


told = st.builds(
    PaymentNotice,
    bank=st.just("hdfc"),
    event=st.sampled_from(["success", "failure", "failure", "failure"]),
    token=st.just("tok"),
    user_id=st.just(str(OWNER)),
    amount=st.just(500),
    bank_reference=st.none(),
    reason=st.sampled_from([None, "EXPIRED", "CANCELLED", "DECLINED_BY_CUSTOMER"]),
)


@given(st.lists(st.one_of(told, told, st.just(WishToCancel())), max_size=8))
def test_however_it_ended_money_that_comes_is_credited_once(steps: list[PaymentNotice | WishToCancel]) -> None:
    """Any order of notices, ends and wishes to cancel: no success is lost, none counts twice, and an end stays."""
    on_ramp, credited = PENDING, 0
    for number, step in enumerate(steps):
        before = on_ramp
        if isinstance(step, WishToCancel):
            on_ramp = replace(on_ramp, is_cancel_requested=True)
            continue
        decision = judge(on_ramp, step, transfer_id=UUID(int=100 + number), at=START)
        on_ramp, credited = decision.on_ramp, credited + (decision.credit is not None)
        if before.status is not OnRampStatus.PENDING and step.event == "failure":
            assert on_ramp.status is before.status
        if on_ramp.status is OnRampStatus.SUCCESS and before.status is not OnRampStatus.SUCCESS:
            assert on_ramp.is_late_success == (before.status is not OnRampStatus.PENDING)
    successes = [step for step in steps if isinstance(step, PaymentNotice) and step.event == "success"]
    assert credited == bool(successes)
    assert (on_ramp.status is OnRampStatus.SUCCESS) == bool(successes)


@pytest.mark.parametrize(
    ("reason", "is_cancel_requested", "status"),
    [
        (None, False, "failure"),
        ("EXPIRED", False, "expired"),
        ("CANCELLED", False, "cancelled"),
        ("DECLINED_BY_CUSTOMER", False, "failure"),
        (None, True, "cancelled"),
        ("EXPIRED", True, "cancelled"),
        ("CANCELLED", True, "cancelled"),
        ("INSUFFICIENT_FUNDS", True, "failure"),
    ],
)
def test_the_banks_reason_names_the_end(reason: str | None, is_cancel_requested: bool, status: str) -> None:
    notice = PaymentNotice("hdfc", "failure", "tok", str(OWNER), 500, None, reason)
    on_ramp = replace(PENDING, is_cancel_requested=is_cancel_requested)
    ended = judge(on_ramp, notice, transfer_id=UUID(int=9), at=START).on_ramp
    assert (ended.status, ended.failure_reason) == (status, (reason or "declined").lower())
