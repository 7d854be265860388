"""What the simulator's own API takes and answers beside a bank's messages."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from services.dummy_bank.call_log import CallLog
from services.dummy_bank.faults import Faults


def test_faults_are_off_by_default_and_rates_are_between_0_and_1() -> None:
    assert Faults() == Faults.model_validate({})
    assert Faults().idempotency
    assert Faults.model_validate({"timeout_after_rate": 1}).timeout_after_rate == 1
    for wrong in ({"error_rate": 1.1}, {"error_rate": float("nan")}, {"latency_ms": -1}, {"down": 1}, {"x": 1}):
        with pytest.raises(ValidationError):
            Faults.model_validate(wrong)


def test_a_call_that_is_being_answered_has_no_end() -> None:
    at = "2026-10-16T00:00:00.000000Z"
    call = {"reference": "r", "user_ref": "u", "amount": 1, "started_at": at, "ended_at": None, "outcome": ""}
    assert CallLog.model_validate_json(json.dumps({"items": [call]})).items[0].ended_at is None
