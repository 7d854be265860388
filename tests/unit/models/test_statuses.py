"""What a status says about itself."""

from __future__ import annotations

import pytest

from shared.db.columns import sql_values
from shared.models.hold import HoldStatus
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus


@pytest.mark.parametrize("status", WithdrawalStatus)
def test_a_withdrawal_is_queued_active_or_final(status: WithdrawalStatus) -> None:
    assert [status is WithdrawalStatus.QUEUED, status.is_active, status.is_final].count(True) == 1


def test_a_payout_is_sent_from_the_queue_and_from_waiting_only() -> None:
    assert [status for status in WithdrawalStatus if status.may_be_sent] == ["queued", "waiting"]


def test_only_a_queued_withdrawal_may_be_cancelled() -> None:
    assert [status for status in WithdrawalStatus if status.may_be_cancelled] == ["queued"]


def test_a_final_withdrawal_was_paid_out_or_its_money_is_back() -> None:
    assert {status for status in WithdrawalStatus if status.was_paid_out or status.is_money_back} == set(
        WithdrawalStatus.final()
    )
    assert {status for status in WithdrawalStatus if status.was_paid_out and status.is_money_back} == {"reversed"}


def test_an_on_ramp_is_credited_once() -> None:
    assert [status for status in OnRampStatus if status.may_be_credited] == [
        "pending",
        "failure",
        "expired",
        "cancelled",
    ]
    assert [status for status in OnRampStatus if status.is_final] == ["success", "failure", "expired", "cancelled"]


def test_a_copy_of_a_mismatch_is_judged_again() -> None:
    assert [verdict for verdict in Verdict if not verdict.is_final] == [
        "unknown_token",
        "unknown_reference",
        "amount_mismatch",
        "user_mismatch",
    ]


def test_members_are_written_into_sql_as_a_list_of_text() -> None:
    assert sql_values(HoldStatus) == "('active', 'captured', 'released')"
