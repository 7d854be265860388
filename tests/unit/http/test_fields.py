from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.http.fields import Body, Email, Flag, Handle, Name, Paise, Password, Pin, Recipient, Text, Timezone
from shared.money import MAX_MOVEMENT_PAISE


def accepted(kind: Any, value: Any) -> Any:
    result = TypeAdapter(kind).validate_python(value)
    return result.get_secret_value() if hasattr(result, "get_secret_value") else result


def refuses(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    "value", ["a\x00b", "a\ud800", "line\nbreak", "\ttab first", "a\u2028b", "a\u202eb", "", "   "]
)
def test_text_rejects_what_postgres_or_a_page_cannot_show(value: str) -> None:
    refuses(Text, value)


def test_text_is_trimmed_and_bounded() -> None:
    assert accepted(Text, "  chai  ") == "chai"
    refuses(Name, "x" * 101)
    refuses(Text, 5)


@pytest.mark.parametrize(
    "hidden",
    [
        *("\u200b", "\u200d", "\u200c", "\ufeff", "\u00ad", "\u2060", "\u200f", "\u202e", "\u2066", "\u061c"),
        *("\ue000", "\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u034f", "\u17b4", "\U000e0041", "\x00"),
        *("\ud800", "\u2028"),
    ],
)
def test_a_name_rejects_invisible_characters(hidden: str) -> None:
    for value in (hidden, f"Batua{hidden}", f"{hidden}Batua", f"Ba{hidden}tua", "\u0915" + hidden):
        refuses(Name, value)


@pytest.mark.parametrize("value", ["\u0301", "\ufe0f", "\u00a0", "\u3000"])
def test_a_name_has_a_visible_character(value: str) -> None:
    refuses(Name, value)


@pytest.mark.parametrize(
    "value",
    [
        *("O'Neil", "Chai & Samosa?am=1", "José-María", "क्षमा", "Zoë ❤️", "24/7", "!"),
        "\u0930\u094d\u200d\u092f",  # an eyelash ra: the joiner follows a virama
        "\u0915\u094d\u200c\u0937",
        "\u0646\u06cc\u200c\u06a9",  # a non-joiner between letters of Urdu
    ],
)
def test_names_of_all_scripts_are_accepted(value: str) -> None:
    assert accepted(Name, value) == value


@pytest.mark.parametrize("value", [0, -1, MAX_MOVEMENT_PAISE + 1, 10**40, 1.0, True, "5", None, float("nan")])
def test_paise_are_a_json_integer_within_one_movement(value: object) -> None:
    refuses(Paise, value)


def test_the_smallest_and_the_largest_amount_are_accepted() -> None:
    assert [accepted(Paise, amount) for amount in (1, MAX_MOVEMENT_PAISE)] == [1, MAX_MOVEMENT_PAISE]


def test_an_email_is_lowercased_and_never_looked_up() -> None:
    assert accepted(Email, " Alice@Example.COM ") == "alice@example.com"
    assert accepted(Email, "a@b.test") == "a@b.test"
    assert accepted(Email, "a@shop.example") == "a@shop.example"


@pytest.mark.parametrize(
    "value", ["alice", "alice@", "@b.c", "a b@c.d", "a@b", "a@b.c\x00", "a@b..c", f"{'x' * 250}@b.cd"]
)
def test_an_invalid_email_is_rejected(value: str) -> None:
    refuses(Email, value)


@pytest.mark.parametrize("value", ["short", "x" * 73, "ü" * 37, "eight\x00chars", "half a pair \ud800"])
def test_a_password_is_8_to_72_bytes(value: str) -> None:
    refuses(Password, value)


def test_a_password_keeps_its_spaces() -> None:
    assert accepted(Password, " 8 bytes ") == " 8 bytes "
    assert accepted(Password, "ü" * 36) == "ü" * 36


@pytest.mark.parametrize("value", ["123", "1234567", "12a4", "१२३४", " 1234", "1234\n", 1234])
def test_a_pin_is_four_to_six_ascii_digits(value: object) -> None:
    refuses(Pin, value)


def test_secrets_are_not_in_a_repr() -> None:
    class Secrets(Body):
        pin: Pin

    assert "1234" not in repr(Secrets.model_validate({"pin": "1234"}))


def test_a_wallet_id_is_read_in_any_case() -> None:
    assert accepted(Handle, "Alice@Batua") == "alice@batua"
    refuses(Handle, "alice@hdfc")
    refuses(Handle, "@batua")


def test_a_recipient_is_a_wallet_id_or_an_account_id() -> None:
    identifier = "019A0000-0000-7000-8000-000000000001"
    assert accepted(Recipient, identifier) == identifier.lower()
    assert accepted(Recipient, " BOB@batua ") == "bob@batua"
    refuses(Recipient, "bob")


def test_a_time_zone_is_one_of_iana() -> None:
    assert accepted(Timezone, "Asia/Kolkata") == "Asia/Kolkata"
    for value in ("../../etc/passwd", "IST?", "localtime", "asia/kolkata\x00"):
        refuses(Timezone, value)


def test_a_body_rejects_unknown_fields_and_wrong_types() -> None:
    class Order(Body):
        is_gift: Flag

    for body in ({"is_gift": True, "extra": 1}, {"is_gift": "true"}, {"is_gift": 1}):
        refuses(Order, body)


def test_the_schema_says_what_is_rejected() -> None:
    schema = json.dumps(TypeAdapter(Pin).json_schema())
    assert "^[0-9]{4,6}$" in schema
