"""The messages of a bank's API: what we send is checked strictly, and what a bank answers is read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from shared.banks.messages import PayoutRequest, SessionRequest, Statement
from shared.clock import rfc3339


def test_what_we_send_rejects_unknown_fields_and_unfit_amounts() -> None:
    good = {
        "reference": "r",
        "account_number": "12345678",
        "ifsc": "HDFC0001234",
        "account_holder": "Alice Fernandes",
        "amount": 100,
    }
    assert PayoutRequest.model_validate(good).user_ref is None
    for change in ({"extra": 1}, {"amount": 0}, {"amount": 1.0}, {"amount": 10**9 + 1}, {"ifsc": "HDFC1001234"}):
        with pytest.raises(ValidationError):
            PayoutRequest.model_validate({**good, **change})
    with pytest.raises(ValidationError):
        SessionRequest(reference="r", user_id="u", amount=1, return_url="javascript:alert(1)")


def test_a_statement_is_read_back() -> None:
    moment = datetime(2026, 10, 16, tzinfo=UTC)
    line = {"at": rfc3339(moment), "direction": "CREDIT", "amount": 1, "reference": "r", "utr": "u"}
    statement = Statement.model_validate_json(json.dumps({"items": [{**line, "balance_after": -5}]}))
    assert statement.items[0].at == moment
