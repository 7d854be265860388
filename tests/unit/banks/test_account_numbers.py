"""What counts as an account number and as an IFSC, how typed ones are read, and how a number is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.banks import account_numbers, axis, hdfc
from shared.banks.account_numbers import AccountNumber, Ifsc
from shared.banks.messages import PayoutAnswer
from shared.banks.notices import PayoutNotice

GOOD_NUMBERS = ["123456", "123456789012345678"]
BAD_NUMBERS = [
    "12345",
    "1234567890123456789",
    "12345x",
    "123 456",
    "123456\n",
    "\u0967\u0968\u0969\u096a\u096b\u096c",
    "",
]
GOOD_IFSCS = ["HDFC0000001", "UTIB0ABC12Z"]
BAD_IFSCS = [
    "HDFC1000001",
    "hdfc0000001",
    "HDF00000001",
    "HDFC000001",
    "HDFC00000011",
    "HDFC0000001\n",
    " HDFC0000001",
    "",
]


def is_read_as(kind: Any, text: str) -> bool:
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("text", [*GOOD_NUMBERS, *BAD_NUMBERS])
def test_the_type_and_the_question_agree_about_account_numbers(text: str) -> None:
    assert account_numbers.is_account_number(text) == is_read_as(AccountNumber, text) == (text in GOOD_NUMBERS)


@pytest.mark.parametrize("text", [*GOOD_IFSCS, *BAD_IFSCS])
def test_the_type_and_the_question_agree_about_ifsc_codes(text: str) -> None:
    assert account_numbers.is_ifsc(text) == is_read_as(Ifsc, text) == (text in GOOD_IFSCS)


def test_typed_text_is_read_without_what_people_put_in_between() -> None:
    assert account_numbers.account_number_from(" 1234 5678-9012\t") == "123456789012"
    assert account_numbers.ifsc_from(" hdfc 0000001 ") == "HDFC0000001"


@pytest.mark.parametrize("number", ["123456", "123456789012345678"])
def test_only_the_last_four_digits_are_shown_and_not_how_many_there_are(number: str) -> None:
    assert account_numbers.masked(number) == "XXXXXX" + number[-4:]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Account 50100123451234 is closed", "Account XXXXXX1234 is closed"),
        ("50100123451234, or 123456.", "XXXXXX1234, or XXXXXX3456."),
        ("UTR HDFCN26331900001, code 12345", "UTR HDFCN26331900001, code 12345"),
    ],
)
def test_a_number_within_text_is_masked(said: str, kept: str) -> None:
    assert account_numbers.masked_within(said) == kept
    answer = PayoutAnswer.model_validate_json(json.dumps({"status": "FAILED", "message": said, "utr": "123456789012"}))
    assert (answer.message, answer.utr) == (kept, "123456789012")
    for adapter in (hdfc, axis):
        notice = PayoutNotice("hdfc", "failure", "ref", None, 5, said)
        assert adapter.decode("hdfc", adapter.encode(notice)) == replace(notice, reason=kept)
