"""Which names of people and shops others may see, and which wallet ids.

A name carries no address to lead people to, and does not pass for a bank, for Batua, for its support or for a name in
another script. The rules read what is seen: in `adm1n` a digit is a letter, and letters of other scripts are what
they look like. They are asked when a name is given or changed; a name of before stays.

Ordinary words stay free: `Axis Traders`, `Uday Kotak`, `Blood Bank` and `Sai Security Services` are names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from string import digits

from shared.auth.errors import NameNotAllowed
from shared.auth.lookalikes import CAPITAL_L, is_mixed, is_twin, pattern_of, skeleton
from shared.banks.table import BANKS
from shared.errors import FieldError

WEB_ADDRESS = "must not contain a web address"
EMAIL_ADDRESS = "must not contain an email address or a wallet id"
PHONE_NUMBER = "must not contain a phone number"
IMPERSONATION = "must not look like the name of a bank, of Batua or of its support"
MIXED_SCRIPTS = "must not mix letters of several scripts in one word"
TWIN = "must not be made of letters that only look like Latin ones"

_ENDS = (
    "com|net|org|info|biz|edu|gov|app|dev|xyz|online|shop|site|store|club|live|link|top|bank|in|io|co|me|ly|gl|gg|to"
)
_WEB_ADDRESS = re.compile(
    rf"(?i)[a-z]{{2,}}://|\bwww\d?\.|[^\s.@/]{{2,}}\.(?:{_ENDS})(?!\w)|\bdot\s?(?:com|net|org|in|co)\b"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
)
_IDEOGRAPHIC_DOT = "\u3002"
"""Browsers read it as the dot of a domain."""
_EMAIL_ADDRESS = re.compile(r"[^\s@]@[^\s@]")
_PHONE_NUMBER = re.compile(r"\d{7}|\d(?:[\s().+/-]{0,2}\d){8}")
"""Seven digits in a row, or nine with something between them: `2025-2026` and `560001` are no phone numbers."""

_SYMBOLS = "!$+@|"
"""What may stand for a letter of a word: `$upport`."""

_ANYWHERE = pattern_of(
    {
        *("batua", "hdfc", "icicibank", "kotakbank", "reservebank", "statebank", "yesbank"),
        *("bankofbaroda", "bankofindia", "punjabnational"),
        *(f"{code}bank" for code in BANKS),
        *("बटुआ", "एचडीएफसी", "आईसीआईसीआई"),
    }
)
"""In a name without its blanks: the platform, and banks by names that mean nothing else."""
_BANKS = pattern_of({"hsbc", "icici", "idbi", "idfc", "npci", "pnb", "rbi", "rbl", "sbi"})
"""Words that are the name of a bank or an authority and nothing else."""
_BANK = pattern_of({"bank", "banks", "banking", "netbanking", "बैंक", "ব্যাংক", "બેંક", "வங்கி", "ಬ್ಯಾಂಕ್", "బ్యాంక్", "ബാങ്ക്"})
_NO_BANK_AFTER = {"blood", "eye", "food", "memory", "milk", "piggy", "power", "river", "seed", "south", "west"}
_NO_BANK_BEFORE = {"chowk", "colony", "corner", "cross", "junction", "lane", "more", "nagar", "road", "stop", "street"}
"""Words that make another thing of a bank: a blood bank, Bank Street."""
_ROLE = pattern_of(
    {
        *("admin", "administrator", "helpdesk", "helpline", "support", "सहायता"),
        *("customercare", "customerservice", "customerservices", "customersupport"),
    }
)
"""A name neither begins nor ends with one of these."""
_WHOLE = pattern_of(
    {
        *BANKS,
        *("bank", "care", "help", "kotak", "kyc", "moderator", "official", "payments", "refund", "refunds", "root"),
        *("security", "staff", "system", "upi", "verification"),
    }
)
_START_OF_A_HANDLE = pattern_of(
    {"admin", "customercare", "helpdesk", "npci", "official", "security", "support", "system"}
)


def require_person(first_name: str, last_name: str) -> None:
    """Raises NameNotAllowed, which names the field."""
    complaint = complaint_about(f"{first_name} {last_name}")
    if complaint is not None:
        is_first = complaint_about(first_name) is not None
        raise NameNotAllowed((FieldError("first_name" if is_first else "last_name", complaint),))


def require_shop(business_name: str) -> None:
    """Raises NameNotAllowed, which names the field."""
    complaint = complaint_about(business_name)
    if complaint is not None:
        raise NameNotAllowed((FieldError("business_name", complaint),))


def complaint_about(name: str) -> str | None:
    """What is wrong with a name that others see; None if nothing is."""
    plain, seen = unicodedata.normalize("NFKC", name).replace(_IDEOGRAPHIC_DOT, "."), skeleton(name)
    if _WEB_ADDRESS.search(plain) or _WEB_ADDRESS.search(seen):
        return WEB_ADDRESS
    if _EMAIL_ADDRESS.search(plain):
        return EMAIL_ADDRESS
    if _PHONE_NUMBER.search(plain):
        return PHONE_NUMBER
    if _passes_for_another(_words(seen)):
        return IMPERSONATION
    words = _words(name)
    if any(is_mixed(word) for word in words):
        return MIXED_SCRIPTS
    return TWIN if any(is_twin(word) for word in words) else None


def is_reserved_handle(local_part: str) -> bool:
    """Whether what stands before `@batua`, in lower-case ASCII, passes for the platform, a bank or an authority: as a
    whole, at its start, with digits for its letters or around it.
    """
    return any(
        _ANYWHERE.search(each) or _START_OF_A_HANDLE.match(each) or _is_a_name_of_another(each)
        for each in (local_part, local_part.strip(digits))
    )


def _words(text: str) -> list[str]:
    """Letters with their marks, digits and symbols that stand for letters; all else is between words."""
    return "".join(each if _is_of_a_word(each) else " " for each in text).split()


def _is_of_a_word(each: str) -> bool:
    return each.isalnum() or each in _SYMBOLS or unicodedata.category(each)[0] == "M"


def _passes_for_another(found: Sequence[str]) -> bool:
    words = [word for word in found if not word.isdecimal() and word.strip(_SYMBOLS)]
    if not words:
        return False
    joined = "".join(words)
    return bool(
        _ANYWHERE.search(joined)
        or _is_a_name_of_another(joined)
        or any(_is(_BANKS, word) for word in words)
        or any(_is(_ROLE, end) for end in (words[0], "".join(words[:2]), words[-1], "".join(words[-2:])))
        or any(_is(_BANK, word) and not _is_no_bank(words, place) for place, word in enumerate(words))
    )


def _is_a_name_of_another(whole: str) -> bool:
    return _is(_WHOLE, whole) or _is(_BANKS, whole) or _is(_ROLE, whole)


def _is(pattern: re.Pattern[str], word: str) -> bool:
    return pattern.fullmatch(word) is not None or pattern.fullmatch(word.strip(_SYMBOLS)) is not None


def _is_no_bank(words: Sequence[str], place: int) -> bool:
    before, after = (
        [each.replace(CAPITAL_L, "l") for each in beside] for beside in (words[:place][-1:], words[place + 1 :][:1])
    )
    return not _NO_BANK_AFTER.isdisjoint(before) or not _NO_BANK_BEFORE.isdisjoint(after)
