"""Read an amount that a person typed: what a careful reader reads, or nothing and a question.

Digits are plain, full-width or Devanagari, never mixed. Commas group by thousands or the Indian way; one or two digits
after a point are paise. `₹`, `Rs`, `Rs.` or `INR` may stand in front, blanks around. What is nearly such an amount, but
could mean another (`12,50`, `Rs.50`, `0012`, `100/-`), is a question. Everything else is refused, with words that say
why. No text is repaired silently: a reading that is wrong by a comma moves a hundred times the money.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from shared.money import MAX_MOVEMENT_PAISE, PAISE_PER_RUPEE
from shared.pages import formatting
from shared.pages.amount_words import amount_in_words

MAX_TYPED_AMOUNT = 64
"""Characters. A field takes one more, so that pasted text which the browser cuts off is refused, never read in part."""

# Every blank that cannot be seen as something else. (U+1680 is drawn as a line.)
_BLANKS = " \t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_PLAIN_DIGITS = "0123456789"
_DIGIT_SCRIPTS = (_PLAIN_DIGITS, "０１２３４５６７８９", "०१२३४५६७८९")  # noqa: RUF001 - full-width digits
_TO_PLAIN = str.maketrans("".join(_DIGIT_SCRIPTS) + "，．", _PLAIN_DIGITS * len(_DIGIT_SCRIPTS) + ",.")  # noqa: RUF001
_SIGNS = frozenset("+-\u00ad\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u207a\u207b\u2212\ufe62\ufe63\uff0b\uff0d")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me", "Zl", "Zp"})
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")

_GROUPED = r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d?(?:,\d{2})*,\d{3}"
_NUMBER = re.compile(rf"(?P<whole>{_GROUPED}|[1-9]\d*|0)?(?:\.(?P<part>\d{{0,2}}))?", re.ASCII)
_MARKED = re.compile(rf"(?P<mark>₹|rs\.?|inr)?[{_BLANKS}]*(?P<number>.*)", re.ASCII | re.IGNORECASE)
_LETTERS_AND_POINT = re.compile(rf"(rs|inr)[{_BLANKS}]*\.(?=\d{{1,2}}$)", re.ASCII | re.IGNORECASE)
_ENDING = re.compile(rf"(?<=[\d.])[{_BLANKS}]*(?:/[-=]|₹|rs\.?|inr)$", re.ASCII | re.IGNORECASE)
_LEADING_ZEROS = re.compile(r"^(\D*?)0+(?=\d)", re.ASCII)
_DECIMAL_COMMA = re.compile(r"(?P<whole>.*),(?P<part>\d{1,2})", re.ASCII)
_MISPLACED_MARK = re.compile(r"₹|rs|inr", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Clear:
    """The text is one amount and no other: `paise`, from 1 to MAX_MOVEMENT_PAISE."""

    paise: int


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The text may mean `paise`. The person has to say so: nothing moves."""

    paise: int

    @property
    def words(self) -> str:
        """What the person is asked. It says what to write, for those who have no button that does it."""
        meant = formatting.short_rupees(self.paise)
        return f"Did you mean {meant}? Then write {formatting.input_rupees(self.paise)}"


@dataclass(frozen=True, slots=True)
class Refused:
    """The text is no amount that may move; `words` say why."""

    words: str


def read_amount(typed: str) -> Clear | Doubtful | Refused:
    """Read the text of an amount field."""
    if len(typed) > MAX_TYPED_AMOUNT:
        return Refused(_such_as("this is too long"))
    text = typed.strip(_BLANKS)
    scripts = [script for script in _DIGIT_SCRIPTS if set(script) & set(text)]
    plain = text.translate(_TO_PLAIN)
    if len(scripts) > 1 or any(_is_invisible(each) for each in plain):
        return Refused(_why_not(plain, len(scripts)))
    paise = _paise_of(plain)
    if paise is not None:
        return _within_bounds(Clear(paise))
    paise = _paise_of(_as_it_may_be_meant(plain))
    return Refused(_why_not(plain, len(scripts))) if paise is None else _within_bounds(Doubtful(paise))


def meant_amount(typed: str) -> int | None:
    """The paise that a doubtful text may mean, to offer them; None for every other text."""
    match read_amount(typed):
        case Doubtful(paise):
            return paise
    return None


def typed_in_words(typed: str) -> str:
    """The words of a clear amount; empty for every other text."""
    match read_amount(typed):
        case Clear(paise):
            return amount_in_words(paise)
    return ""


def _paise_of(text: str) -> int | None:
    """The amount that the text says beyond doubt, in paise; None if there is none. Zero and too much are amounts."""
    if _LETTERS_AND_POINT.match(text):
        return None  # `Rs.50`: an abbreviation before 50, or half a rupee?
    marked = _MARKED.fullmatch(text)
    number = _NUMBER.fullmatch(marked["number"]) if marked is not None else None
    if number is None or not (number["whole"] or number["part"]):
        return None
    whole = int((number["whole"] or "0").replace(",", ""))
    return whole * PAISE_PER_RUPEE + int((number["part"] or "").ljust(2, "0"))


def _as_it_may_be_meant(text: str) -> str:
    """The text with a point for the last comma, and without what people put around an amount."""
    text = _ENDING.sub("", text)
    text = _LETTERS_AND_POINT.sub(r"\1 ", text)
    text = _LEADING_ZEROS.sub(r"\1", text)
    comma = _DECIMAL_COMMA.fullmatch(text)
    return text if comma is None else f"{comma['whole'].replace('.', ',')}.{comma['part']}"


def _within_bounds(found: Clear | Doubtful) -> Clear | Doubtful | Refused:
    if found.paise < 1:
        return Refused("Enter more than ₹0")
    if found.paise > MAX_MOVEMENT_PAISE:
        return Refused(f"At most {formatting.short_rupees(MAX_MOVEMENT_PAISE)} at once")
    return found


def _is_invisible(each: str) -> bool:
    if each == "\t":
        return False
    return each in _INVISIBLE_LETTERS or unicodedata.category(each) in _INVISIBLE_CATEGORIES


def _why_not(text: str, scripts: int) -> str:
    reasons = (
        (any(_is_invisible(each) for each in text), "an invisible character came with it; clear the field and type it"),
        (scripts > 1, "all digits in one script"),
        (bool(_SIGNS & set(text)), "without a plus or minus sign"),
        (any(each in text.lstrip("₹") for each in _BLANKS) and scripts == 1, "no spaces between the digits"),
        (_MISPLACED_MARK.search(text[1:]) is not None and scripts == 1, "₹, Rs or INR once, in front"),
        (re.search(r"\.\d{3}", text, re.ASCII) is not None, "at most two digits after the point"),
        (re.fullmatch(r"[\d,.]+", text, re.ASCII) is not None, "commas only as in 1,000 or 1,00,000"),
    )
    return _such_as(next((words for is_so, words in reasons if is_so), ""))


def _such_as(reason: str) -> str:
    return f"Enter an amount such as 250 or 250.50{': ' if reason else ''}{reason}"
