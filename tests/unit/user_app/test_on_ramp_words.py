"""An on-ramp in words: every state has its own, the same wherever it is named, and none promises what may not come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.user_app.pages.on_ramp_words import words_for
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.views import OnRampView

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
VIEW = OnRampView(
    id=UUID(int=1),
    status=OnRampStatus.PENDING,
    bank="hdfc",
    amount=200000,
    currency="INR",
    redirect_url="https://bank.example/1",
    bank_reference=None,
    failure_reason=None,
    transfer_id=None,
    created_at=AT,
    settled_at=None,
    expires_at=AT + timedelta(minutes=15),
    cancel_requested_at=None,
    is_late_success=False,
)


def test_every_state_has_words_of_its_own() -> None:
    states = [words_for(replace(VIEW, status=status)).state for status in OnRampStatus]
    states.append(words_for(replace(VIEW, cancel_requested_at=AT)).state)
    assert len(set(states)) == len(OnRampStatus) + 1


def test_a_pending_one_promises_money_only_once_it_is_approved() -> None:
    words = words_for(VIEW)
    assert "Once you have approved it at HDFC Bank" in words.sentence
    assert "If you do not approve it by 5:45" in words.sentence
    assert words.may_cancel
    assert not words_for(replace(VIEW, cancel_requested_at=AT)).may_cancel


@pytest.mark.parametrize("status", [OnRampStatus.EXPIRED, OnRampStatus.CANCELLED])
def test_one_that_the_bank_says_was_not_paid_took_no_money(status: OnRampStatus) -> None:
    reason = "cancelled" if status is OnRampStatus.CANCELLED else "expired"
    assert "o money was taken" in words_for(replace(VIEW, status=status, failure_reason=reason)).sentence


def test_without_the_banks_word_it_is_not_said_that_nothing_was_taken() -> None:
    for status in (OnRampStatus.FAILURE, OnRampStatus.CANCELLED):
        given_up = replace(VIEW, status=status, failure_reason="expired", cancel_requested_at=AT)
        assert "o money was taken" not in words_for(given_up).sentence
