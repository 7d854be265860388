from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.http.fields import (
    Body,
    Email,
    Flag,
    Handle,
    HolderName,
    Name,
    Paise,
    Password,
    Pin,
    Recipient,
    SearchText,
    Text,
    Timezone,
)
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


@pytest.mark.parametrize(
    "emoji",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family
        "\U0001f469\U0001f3fd\u200d\U0001f373",  # a cook, with a colour of skin
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\U0001f642\u200d\u2194\ufe0f",  # a shaken head: its arrow is a mathematical sign
        "\U0001f9d1\u200d\u2695\ufe0f",
        "\U0001fae9",  # newer than some Pythons know
    ],
)
def test_a_name_may_hold_emoji_that_are_joined(emoji: str) -> None:
    for value in (f"Asha {emoji}", emoji, f"{emoji}{emoji}"):
        assert accepted(Name, value) == value
    for value in (f"{emoji}\u200d", f"\u200d{emoji}", f"a\u200d{emoji}", f"{emoji}\u200da"):
        refuses(Name, value)


@given(st.text(max_size=40))
def test_names_and_searches_are_stored_in_one_spelling(value: str) -> None:
    for kind in (Name, SearchText):
        spelled = set()
        for form in ("NFC", "NFD"):
            with suppress(ValidationError):
                spelled.add(accepted(kind, unicodedata.normalize(form, value)))
        assert len(spelled) <= 1
        assert all(unicodedata.is_normalized("NFC", each) for each in spelled)


@pytest.mark.parametrize("kind", [Text, HolderName])
def test_what_a_fingerprint_covers_stays_as_it_was_sent(kind: Any) -> None:
    assert accepted(kind, " Jose\u0301 ") == "Jose\u0301"
    assert accepted(kind, "\u0958\u0932\u092e") == "\u0958\u0932\u092e"


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


@pytest.mark.parametrize(
    "value", ["short", "x" * 73, "ü" * 73, "e\u0301" * 7, "e\u0301" * 73, "eight\x00chars", "half a pair \ud800"]
)
def test_a_password_has_8_to_72_characters(value: str) -> None:
    refuses(Password, value)


def test_a_password_keeps_its_spaces() -> None:
    assert accepted(Password, " 8 bytes ") == " 8 bytes "
    for longest in ("ü" * 72, "क" * 72, "😀" * 72, "e\u0301" * 72):
        assert accepted(Password, longest) == longest


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
