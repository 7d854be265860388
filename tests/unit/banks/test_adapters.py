"""Every bank's notices: what the bank writes we read back, and any other body raises NoticeUnreadable."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.banks import axis, hdfc
from shared.banks.notices import Adapter, NoticeUnreadable, PaymentNotice, PayoutNotice
from shared.banks.table import BANKS

ADAPTERS: tuple[Adapter, ...] = (hdfc, axis)
"""The table loads them by name; here their types are checked."""

identifiers = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128)
amounts = st.integers(1, 10**14 - 1)
reasons = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200)
notices = st.one_of(
    st.builds(
        PaymentNotice,
        bank=st.sampled_from(sorted(BANKS)),
        event=st.sampled_from(["success", "failure"]),
        token=identifiers,
        user_id=identifiers,
        amount=amounts,
        bank_reference=st.none() | identifiers,
        reason=st.none() | reasons.filter(str.isprintable).filter(bool),
    ),
    st.builds(
        PayoutNotice,
        bank=st.sampled_from(sorted(BANKS)),
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


def test_each_bank_has_the_adapter_of_its_name() -> None:
    assert (BANKS["hdfc"].adapter, BANKS["axis"].adapter) == ADAPTERS


@given(notices)
def test_what_a_bank_writes_is_what_we_read(notice: PaymentNotice | PayoutNotice) -> None:
    bank = BANKS[notice.bank]
    assert bank.decode(bank.encode(notice)) == notice


@given(notices, st.sampled_from(["\\ud800", "\\uDfFf", "\\ude00\\ud83d"]), st.booleans())
def test_half_a_character_in_a_field_that_we_do_not_know_changes_nothing(
    notice: PaymentNotice | PayoutNotice, half: str, is_name: bool
) -> None:
    bank = BANKS[notice.bank]
    unknown = f'"{half}": 1' if is_name else f'"channel": {{"remark": ["cut {half}", 1.5, null]}}'
    body = bank.encode(notice)
    assert bank.decode(body[:-1] + f", {unknown}}}".encode()) == notice


@pytest.mark.parametrize("bank", sorted(BANKS))
def test_half_a_character_is_allowed_in_a_reason_and_not_in_a_reference(bank: str) -> None:
    notice = PayoutNotice(bank, "failure", "reference", None, 100, "account closed")
    body = BANKS[bank].encode(notice)
    read = BANKS[bank].decode(body.replace(b"closed", b"closed \\ud83d"))
    assert read == replace(notice, reason="account closed \ufffd")
    with pytest.raises(NoticeUnreadable):
        BANKS[bank].decode(body.replace(b'"reference"', b'"ref\\ud83d"'))


@given(st.sampled_from(sorted(BANKS)), st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_notice_unreadable(bank: str, body: bytes) -> None:
    with pytest.raises(NoticeUnreadable):
        BANKS[bank].decode(body)


@given(notices, st.data())
def test_one_field_replaced_by_anything_is_read_or_unreadable(
    notice: PaymentNotice | PayoutNotice, data: st.DataObject
) -> None:
    bank = BANKS[notice.bank]
    message: dict[str, Any] = json.loads(bank.encode(notice))
    place = data.draw(st.sampled_from([message, message.get("data", message)]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    with suppress(NoticeUnreadable):
        bank.decode(json.dumps(message).encode("utf-8", "surrogatepass"))


HDFC = {"event": "payment.success", "token": "t", "user_id": "u", "amount": 20000, "bank_reference": "b"}
AXIS_DATA = {"txn_token": "t", "customer_ref": "u", "amount_rupees": "200.00", "bank_ref": "b"}


@pytest.mark.parametrize("said", [7, ["EXPIRED"], "", "two\nlines", {"code": "EXPIRED"}])
def test_a_notice_of_money_is_not_rejected_for_a_reason_that_cannot_be_read(said: object) -> None:
    notice = BANKS["hdfc"].decode(json.dumps({**HDFC, "reason": said}).encode())
    assert notice == PaymentNotice("hdfc", "success", "t", "u", 20000, "b")
    axis = {"type": "TXN_CREDIT_OK", "data": {**AXIS_DATA, "remark": said}}
    assert BANKS["axis"].decode(json.dumps(axis).encode()) == PaymentNotice("axis", "success", "t", "u", 20000, "b")


def test_both_banks_say_the_same_in_their_own_formats() -> None:
    axis = {"type": "TXN_CREDIT_OK", "data": AXIS_DATA}
    from_hdfc = BANKS["hdfc"].decode(json.dumps(HDFC).encode())
    from_axis = BANKS["axis"].decode(json.dumps(axis).encode())
    assert from_hdfc == PaymentNotice("hdfc", "success", "t", "u", 20000, "b")
    assert from_axis == PaymentNotice("axis", "success", "t", "u", 20000, "b")


def test_fields_we_do_not_know_yet_are_ignored() -> None:
    assert BANKS["hdfc"].decode(json.dumps({**HDFC, "new": [1]}).encode())


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
    with pytest.raises(NoticeUnreadable) as refused:
        BANKS["hdfc"].decode(json.dumps({**HDFC, field: value}).encode())
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
    with pytest.raises(NoticeUnreadable):
        BANKS["axis"].decode(json.dumps(message).encode())


@pytest.mark.parametrize("missing", ["event", "token", "user_id", "amount"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = {name: value for name, value in HDFC.items() if name != missing}
    with pytest.raises(NoticeUnreadable, match=missing):
        BANKS["hdfc"].decode(json.dumps(body).encode())


def test_deep_nesting_is_unreadable() -> None:
    with pytest.raises(NoticeUnreadable):
        BANKS["hdfc"].decode(b'{"event":' + b"[" * 30_000)
