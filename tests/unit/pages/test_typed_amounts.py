"""What moves is what a careful person reads in the amount field, or nothing and a question."""

from __future__ import annotations

import pytest
from babel.numbers import format_decimal
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.http.errors import InvalidRequest
from shared.money import MAX_MOVEMENT_PAISE
from shared.pages.amount_words import amount_in_words
from shared.pages.forms import Form, Rupees
from shared.pages.typed_amounts import meant_amount, typed_in_words

BLANKS = (" ", "\u00a0", "\u2009", "\u202f", "\u3000", "\t")
DIGITS = ("0123456789", "".join(map(chr, range(0xFF10, 0xFF1A))), "".join(map(chr, range(0x966, 0x970))))
MARKS = (
    "₹",
    *(f"{r}{s}{point}" for r in "Rr" for s in "Ss" for point in ("", ".")),
    *(f"{i}{n}{r}" for i in "Ii" for n in "Nn" for r in "Rr"),
)


class Payment(BaseModel):
    amount: Rupees


def moved(typed: str) -> int | str:
    """The paise that a form with this text moves, or what it says instead."""
    try:
        return Form({"amount": typed}).read(Payment).amount
    except InvalidRequest as refused:
        [error] = refused.errors
        return error.message


def spellings(paise: int) -> set[str]:
    """Every way to write an amount in plain digits, without a mark. It writes and never reads: the oracle."""
    rupees, part = divmod(paise, 100)
    wholes = {str(rupees), f"{rupees:,}", format_decimal(rupees, locale="en_IN")}
    parts = {f".{part:02d}"}
    if part % 10 == 0:
        parts.add(f".{part // 10}")
    written = {whole + point for whole in wholes for point in parts}
    if part == 0:
        written |= wholes | {f"{whole}." for whole in wholes}
    if rupees == 0:
        written |= parts
    return written


def is_written(typed: str, paise: int) -> bool:
    """Whether the text is one of the spellings, with a mark in front and blanks around."""
    blanks = "".join([*BLANKS, *map(chr, range(0x2000, 0x200B)), "\u205f"])
    text = typed.translate(str.maketrans("\uff0c\uff0e", ",.")).strip(blanks)
    for mark in sorted(MARKS, key=len, reverse=True):
        if text.startswith(mark):
            text = text.removeprefix(mark)
            if mark.endswith(".") and text in {str(number) for number in range(100)}:
                return False  # `Rs.50` may be half a rupee
            text = text.lstrip(blanks)
            break
    return any(
        text == spelling.translate(str.maketrans(DIGITS[0], digits))
        for digits in DIGITS
        for spelling in spellings(paise)
    )


@pytest.mark.parametrize("typed", ["12,50", "12,5", "0,50", "5 0", "1₹2"])
def test_what_pages_once_misread_moves_nothing(typed: str) -> None:
    assert isinstance(moved(typed), str)


@pytest.mark.parametrize(
    ("typed", "paise"),
    [
        ("250", 250_00),
        ("1,000", 1000_00),
        ("1,00,000", 1_00_000_00),
        ("10,00,000", 10_00_000_00),
        ("100,000", 1_00_000_00),
        ("12,345", 12_345_00),
        ("12,34,567", 12_34_567_00),
        ("1,234,567", 12_34_567_00),
        ("1,00,00,000", MAX_MOVEMENT_PAISE),
        ("1,234.5", 1234_50),
        ("1,23,456.78", 1_23_456_78),
        ("₹ 100", 100_00),
        ("₹100", 100_00),
        ("Rs 100", 100_00),
        ("Rs. 100", 100_00),
        ("Rs.100", 100_00),
        ("Rs. 50", 50_00),
        ("rs100", 100_00),
        ("INR100", 100_00),
        ("inr 1,000.50", 1000_50),
        (" \u00a0100\u2009", 100_00),
        ("₹\u202f1,000", 1000_00),
        (".50", 50),
        (".5", 50),
        ("0.5", 50),
        ("₹.50", 50),
        ("12.", 12_00),
        ("1,000.", 1000_00),
        ("12.5", 12_50),
        ("0.01", 1),
        ("\uff11\uff12\uff10", 120_00),
        ("\uff11\uff0c\uff10\uff10\uff10\uff0e\uff15", 1000_50),
        ("१२०.५०", 120_50),
        ("₹\u0967,\u0966\u0966,\u0966\u0966\u0966", 1_00_000_00),
    ],
)
def test_amounts_are_read_as_people_write_them(typed: str, paise: int) -> None:
    assert moved(typed) == paise


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("12,50", "₹12.50"),
        ("12,5", "₹12.50"),
        ("0,50", "₹0.50"),
        (",50", "₹0.50"),
        ("1,00", "₹1"),
        ("12,34", "₹12.34"),
        ("1,234,50", "₹1,234.50"),
        ("1.234,56", "₹1,234.56"),
        ("1.234.567,89", "₹12,34,567.89"),
        ("₹ 12,50", "₹12.50"),
        ("१२,५०", "₹12.50"),
        ("Rs.50", "₹50"),
        ("Rs .50", "₹50"),
        ("INR.5", "₹5"),
        ("00012", "₹12"),
        ("050", "₹50"),
        ("00.50", "₹0.50"),
        ("100/-", "₹100"),
        ("Rs. 1,000/-", "₹1,000"),
        ("100 Rs", "₹100"),
        ("100₹", "₹100"),
        ("100.50 INR", "₹100.50"),
    ],
)
def test_what_may_mean_another_amount_is_a_question(typed: str, meant: str) -> None:
    assert str(moved(typed)).startswith(f"Did you mean {meant}? Then write ")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("1e3", "such as 250"),
        ("+5", "without a plus or minus sign"),
        ("-5", "without a plus or minus sign"),
        ("--5", "without a plus or minus sign"),
        ("\u22125", "without a plus or minus sign"),
        ("\u20135", "without a plus or minus sign"),
        ("₹-5", "without a plus or minus sign"),
        ("5-", "without a plus or minus sign"),
        ("0x10", "such as 250"),
        ("1.005", "at most two digits after the point"),
        ("1.000", "at most two digits after the point"),
        ("1.000.000", "at most two digits after the point"),
        ("1,234.567", "at most two digits after the point"),
        ("1.234,567", "at most two digits after the point"),
        ("1,0000", "commas only as in"),
        ("1,2,3", "commas only as in"),
        ("123,45,678", "commas only as in"),
        ("1,23,45", "commas only as in"),
        ("0,123", "commas only as in"),
        ("1,", "commas only as in"),
        (",", "commas only as in"),
        ("1,,000", "commas only as in"),
        (".", "such as 250"),
        ("1.2.3", "such as 250"),
        ("5 0", "no spaces between"),
        ("1 000", "no spaces between"),
        ("1\u00a0000", "no spaces between"),
        ("1 00,000", "no spaces between"),
        ("1₹2", "once, in front"),
        ("₹₹5", "once, in front"),
        ("Rs ₹5", "such as 250"),
        ("१0", "all digits in one script"),
        ("1\uff10", "all digits in one script"),
        ("1\u200b0", "invisible"),
        ("\ufeff10", "invisible"),
        ("\u202e01", "invisible"),
        ("10\u200f", "invisible"),
        ("1\u00ad0", "invisible"),
        ("1\u20e30", "invisible"),
        ("1\n0", "invisible"),
        ("1'000", "such as 250"),
        ("1_000", "such as 250"),
        ("\u0661", "such as 250"),
        ("\u09eb", "such as 250"),
        ("\u00bd", "such as 250"),
        ("1\u00b2", "such as 250"),
        ("\u20b9", "such as 250"),
        ("Rs", "such as 250"),
        (" ", "such as 250"),
        ("lots", "such as 250"),
        ("NaN", "such as 250"),
        ("0", "more than ₹0"),
        ("0.00", "more than ₹0"),
        ("000", "more than ₹0"),
        ("1,00,00,000.01", "At most ₹1,00,00,000"),
        ("9" * 40, "At most ₹1,00,00,000"),
        (" " * 62 + "100", "too long"),
    ],
)
def test_what_is_no_amount_is_refused_with_words(typed: str, words: str) -> None:
    said = moved(typed)
    assert isinstance(said, str)
    assert words in said
    assert "Did you mean" not in said


_paise = st.one_of(st.integers(1, 2000), st.integers(1, MAX_MOVEMENT_PAISE))
_OTHERS = ("\u200b", "\ufeff", "\u2212", "\u066b", "\u0663", "'", "\uff0c", "\uff0e", "/-", "00", "000")
_confusing = st.sampled_from([*"0123456789,.,.,.₹ -+/eExR", *BLANKS, *MARKS, *DIGITS[1], *DIGITS[2], *_OTHERS])


@st.composite
def written(draw: st.DrawFn) -> tuple[str, int]:
    """An amount, and a way in which people write it."""
    paise = draw(_paise)
    number = draw(st.sampled_from(sorted(spellings(paise))))
    number = number.translate(str.maketrans(DIGITS[0], draw(st.sampled_from(DIGITS))))
    mark = draw(st.sampled_from(["", *MARKS]))
    blank = draw(st.sampled_from(["", *BLANKS]))
    if mark not in {"", "₹"}:
        blank = blank or " "
    if mark not in {"", "₹"} and number.startswith("."):
        mark = "₹"
    around = draw(st.sampled_from(["", *BLANKS]))
    return f"{around}{mark}{blank if mark else ''}{number}{around}", paise


@st.composite
def nearly_written(draw: st.DrawFn) -> str:
    """A way to write an amount, with a slip of the finger or the clipboard."""
    text, _ = draw(written())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.one_of(_confusing, st.just(""))) + text[at + draw(st.integers(0, 2)) :]
    return text


@given(written())
@example(("Rs.100", 100_00))
def test_every_way_to_write_an_amount_moves_that_amount(case: tuple[str, int]) -> None:
    typed, paise = case
    assert moved(typed) == paise


@given(st.one_of(st.text(max_size=20), st.lists(_confusing, max_size=8).map("".join), nearly_written()))
@example("Rs.50")
@example("rs.5")
@example("\u017f5")
def test_whatever_is_typed_moves_what_a_careful_person_reads_or_nothing(typed: str) -> None:
    found = moved(typed)
    assert isinstance(found, str) or is_written(typed, found), f"{typed!r} moved {found} paise"


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (1, "One paisa"),
        (50, "Fifty paise"),
        (1_00, "One rupee"),
        (12_50, "Twelve rupees and fifty paise"),
        (100_01, "One hundred rupees and one paisa"),
        (1250_00, "One thousand two hundred fifty rupees"),
        (1_00_000_00, "One lakh rupees"),
        (12_34_567_89, "Twelve lakh thirty-four thousand five hundred sixty-seven rupees and eighty-nine paise"),
        (MAX_MOVEMENT_PAISE, "One crore rupees"),
        (
            12_345_67_89_012_00,
            "Twelve thousand three hundred forty-five crore sixty-seven lakh eighty-nine thousand twelve rupees",
        ),
    ],
)
def test_amounts_are_said_in_lakh_and_crore(paise: int, words: str) -> None:
    assert amount_in_words(paise) == words


@given(_paise, _paise)
def test_different_amounts_have_different_words(one: int, other: int) -> None:
    assert (amount_in_words(one) == amount_in_words(other)) == (one == other)


def test_only_a_clear_text_has_words_and_only_a_doubtful_one_an_offer() -> None:
    assert [typed_in_words(typed) for typed in ("12.50", "12,50", "1 2", "")] == [amount_in_words(12_50), "", "", ""]
    assert [meant_amount(typed) for typed in ("12.50", "12,50", "1 2", "")] == [None, 12_50, None, None]
