"""Forms read what people type, and keep it next to an error."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from services.user_app import payment_links, photographed_codes
from shared.auth import errors as auth_errors
from shared.banks import errors as bank_errors
from shared.errors import Forbidden
from shared.http.errors import InvalidRequest
from shared.http.fields import Pin, Text
from shared.idempotency.errors import IdempotencyKeyReused
from shared.ledger import errors as ledger_errors
from shared.money import MAX_MOVEMENT_PAISE
from shared.on_ramps import errors as on_ramp_errors
from shared.pages.forms import FIELD_OF_ERROR, Form, Rupees
from shared.pages.paths import own_path
from shared.transfers import errors as transfer_errors


class Sending(BaseModel):
    amount: Rupees
    pin: Pin
    note: Text | None = None


@dataclass(eq=False)
class NotToday(Forbidden):
    code = "pin_locked"
    title = "Not today"


@pytest.mark.parametrize(
    ("typed", "paise"),
    [("250", 25000), ("250.50", 25050), ("12.5", 1250), ("1,23,456.78", 12345678), ("₹ 10", 1000), ("7.", 700)],
)
def test_amounts_are_read_as_people_type_them(typed: str, paise: int) -> None:
    assert Form({"amount": typed, "pin": "4711"}).read(Sending).amount == paise


@pytest.mark.parametrize(
    "typed", ["", "0", "0.00", "-5", "1e5", "12.345", "ten", "NaN", "٣", "10000001", "1.2.3", "9" * 40]
)
def test_an_invalid_amount_is_shown_at_its_field(typed: str) -> None:
    form = Form({"amount": typed, "pin": "4711"})
    with form.catching():
        form.read(Sending)
    assert form.status == 422
    assert set(form.errors) == {"amount"}
    assert form.problem is None


def test_the_largest_amount_is_accepted() -> None:
    largest = str(MAX_MOVEMENT_PAISE // 100)
    assert Form({"amount": largest, "pin": "4711"}).read(Sending).amount == MAX_MOVEMENT_PAISE


def test_empty_fields_count_as_not_given() -> None:
    body = Form({"amount": "1", "pin": "4711", "note": "", "unknown": "x"}).read(Sending)
    assert body.note is None


def test_an_error_is_shown_at_its_field_or_above_the_form() -> None:
    form = Form({"amount": "1", "pin": "4711"})
    with form.catching():
        raise NotToday
    assert (form.status, form.errors, form.problem) == (403, {"pin": "Not today"}, None)
    other = Form()
    with other.catching():
        raise NotToday
    assert other.problem == "Not today"


def test_only_codes_that_exist_have_a_field() -> None:
    rooms = (
        auth_errors,
        bank_errors,
        ledger_errors,
        on_ramp_errors,
        transfer_errors,
        payment_links,
        photographed_codes,
    )
    codes = {getattr(each, "code", None) for room in rooms for each in vars(room).values()}
    assert set(FIELD_OF_ERROR) <= codes


def test_a_form_with_an_error_keeps_its_key_and_all_but_its_secrets() -> None:
    form = Form({"amount": "1", "pin": "4711"}, key="the-key")
    form.show_error(InvalidRequest.of("amount", "no"))
    assert form.value("amount") == "1"
    assert form.value("pin") == ""
    assert "4711" not in repr(form)
    assert form.key == "the-key", "sent again, it is still the same deed"


def test_a_key_used_for_another_request_is_replaced_and_explained() -> None:
    form = Form({"amount": "1"}, key="the-key")
    form.show_error(IdempotencyKeyReused(["amount"]))
    assert form.key != "the-key"
    assert form.problem is not None
    assert "already done its work" in form.problem


def test_a_defect_is_not_hidden_on_a_form() -> None:
    form = Form()
    with pytest.raises(ZeroDivisionError), form.catching():
        raise ZeroDivisionError


def test_every_blank_form_has_its_own_key() -> None:
    assert Form().key != Form().key


@pytest.mark.parametrize("path", ["/send", "/pay/chai@batua?amount=200", "/a%20b", "/"])
def test_paths_of_our_own_pages_are_kept(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path", [None, "", "//x", "/\\x", "http://x", "/a\\b", "/a b", "/a\nb", "/é", "/sign-in?next=/"]
)
def test_other_paths_are_replaced(path: str | None) -> None:
    assert own_path(path) == "/"
