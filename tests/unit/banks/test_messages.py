"""The banks' notices: what is written is read back, and nothing unfit gets past with any other error."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.banks.messages import (
    ADAPTERS,
    CallLog,
    Faults,
    PaymentNotice,
    PayoutNotice,
    PayoutRequest,
    SessionRequest,
    Statement,
    WireError,
    to_wire_time,
)

BANKS = sorted(ADAPTERS)
identifiers = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)
amounts = st.integers(1, 10**14 - 1)
reasons = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200)
notices = st.one_of(
    st.builds(
        PaymentNotice,
        bank=st.sampled_from(BANKS),
        event=st.sampled_from(["success", "failure"]),
        token=identifiers,
        user_id=identifiers,
        amount=amounts,
        bank_reference=st.none() | identifiers,
    ),
    st.builds(
        PayoutNotice,
        bank=st.sampled_from(BANKS),
        event=st.sampled_from(["success", "failure", "reversed"]),
        reference=identifiers,
        utr=st.none() | identifiers,
        amount=amounts,
        reason=st.none() | reasons,
    ),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(notices)
def test_what_a_bank_writes_is_what_we_read(notice: PaymentNotice | PayoutNotice) -> None:
    adapter = ADAPTERS[notice.bank]
    assert adapter.decode(adapter.encode(notice)) == notice


@given(st.sampled_from(BANKS), st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_wire_error(bank: str, body: bytes) -> None:
    with pytest.raises(WireError):
        ADAPTERS[bank].decode(body)


@given(notices, st.data())
def test_one_field_replaced_by_anything_is_read_or_is_a_wire_error(
    notice: PaymentNotice | PayoutNotice, data: st.DataObject
) -> None:
    adapter = ADAPTERS[notice.bank]
    message: dict[str, Any] = json.loads(adapter.encode(notice))
    place = data.draw(st.sampled_from([message, message.get("data", message)]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    with suppress(WireError):
        adapter.decode(json.dumps(message).encode("utf-8", "surrogatepass"))


HDFC = {"event": "payment.success", "token": "t", "user_id": "u", "amount": 20000, "bank_reference": "b"}
AXIS_DATA = {"txn_token": "t", "customer_ref": "u", "amount_rupees": "200.00", "bank_ref": "b"}


def test_both_banks_say_the_same_in_their_own_formats() -> None:
    axis = {"type": "TXN_CREDIT_OK", "data": AXIS_DATA}
    from_hdfc = ADAPTERS["hdfc"].decode(json.dumps(HDFC).encode())
    from_axis = ADAPTERS["axis"].decode(json.dumps(axis).encode())
    assert from_hdfc == PaymentNotice("hdfc", "success", "t", "u", 20000, "b")
    assert from_axis == PaymentNotice("axis", "success", "t", "u", 20000, "b")


def test_fields_we_do_not_know_yet_are_ignored() -> None:
    assert ADAPTERS["hdfc"].decode(json.dumps({**HDFC, "new": [1]}).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 20000.0),
        ("amount", "20000"),
        ("amount", True),
        ("amount", 0),
        ("amount", -1),
        ("amount", 10**14),
        ("amount", 10**400),
        ("amount", None),
        ("event", "payment.pending"),
        ("event", 7),
        ("token", ""),
        ("token", "with blank"),
        ("token", "nul\x00"),
        ("token", "x" * 129),
        ("user_id", 12),
        ("user_id", {"a": 1}),
    ],
)
def test_an_unfit_hdfc_field_is_refused_without_repeating_it(field: str, value: object) -> None:
    with pytest.raises(WireError) as refused:
        ADAPTERS["hdfc"].decode(json.dumps({**HDFC, field: value}).encode())
    assert "payment.pending" not in str(refused.value).removeprefix("payment.")


@pytest.mark.parametrize(
    "rupees",
    [
        200,
        200.0,
        "200",
        "2e2",
        "200.0",
        "200.000",
        "-200.00",
        "0.00",
        " 200.00",
        "\u0968\u0966\u0966.00",
        "9" * 13 + ".00",
    ],
)
def test_axis_amounts_are_plain_rupees_with_two_decimals(rupees: object) -> None:
    message = {"type": "TXN_CREDIT_OK", "data": {**AXIS_DATA, "amount_rupees": rupees}}
    with pytest.raises(WireError):
        ADAPTERS["axis"].decode(json.dumps(message).encode())


@pytest.mark.parametrize("missing", ["event", "token", "user_id", "amount"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = {name: value for name, value in HDFC.items() if name != missing}
    with pytest.raises(WireError, match=missing):
        ADAPTERS["hdfc"].decode(json.dumps(body).encode())


def test_deep_nesting_is_a_wire_error() -> None:
    with pytest.raises(WireError):
        ADAPTERS["hdfc"].decode(b'{"event":' + b"[" * 30_000)


def test_what_we_send_refuses_unknown_fields_and_unfit_amounts() -> None:
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


def test_faults_are_off_by_default_and_rates_are_between_0_and_1() -> None:
    assert Faults() == Faults.model_validate({})
    assert Faults().idempotency
    assert Faults.model_validate({"timeout_after_rate": 1}).timeout_after_rate == 1
    for wrong in ({"error_rate": 1.1}, {"error_rate": float("nan")}, {"latency_ms": -1}, {"down": 1}, {"x": 1}):
        with pytest.raises(ValidationError):
            Faults.model_validate(wrong)


def test_wire_times_are_utc_microseconds_of_one_width_and_read_back() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 10, 16, 5, 30, tzinfo=india)
    assert to_wire_time(moment) == "2026-10-16T00:00:00.000000Z"
    line = {"at": to_wire_time(moment), "direction": "CREDIT", "amount": 1, "reference": "r", "utr": "u"}
    statement = Statement.model_validate_json(json.dumps({"items": [{**line, "balance_after": -5}]}))
    assert statement.items[0].at == moment.astimezone(UTC)
    call = {"reference": "r", "user_ref": "u", "amount": 1, "started_at": line["at"], "ended_at": None, "outcome": ""}
    assert CallLog.model_validate_json(json.dumps({"items": [call]})).items[0].ended_at is None
