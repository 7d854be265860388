"""Passwords and PINs that are easy to guess. They are refused when they are set; those set before go on working.

A password is as strong as zxcvbn estimates it: by lists of common passwords, names and words, by patterns of keys,
dates and repeats, and by what it has in common with its owner's name and email. The words of a refusal say what to do,
not which list has the password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from zxcvbn_rs_py import zxcvbn

from shared.auth.errors import WeakSecret
from shared.errors import FieldError
from shared.spelling import opaque

LEAST_GUESSES = 1_000_000
"""An attacker who knows the lists needs more than these. The limits on failures allow a few hundred a day."""
JUDGED_CHARACTERS = 20
"""Of a longer password, only its beginning is judged: the estimate of 20 odd characters takes 20 ms, of 72 it takes
400 ms, in which the process does nothing else.
"""
MAX_OWN_WORDS = 20
WEAK_PASSWORD = "easy to guess; choose a longer one, of several words that have nothing to do with you"  # noqa: S105
WEAK_PIN = "easy to guess; choose digits that are not a pattern, a year or a date"

_LEAST_WORD = 3
_WORDS_OF_THE_PLATFORM = ("batua", "wallet")
_DAY, _MONTH, _YEAR = "(0[1-9]|[12][0-9]|3[01])", "(0[1-9]|1[0-2])", "(19|20)[0-9][0-9]"
_DATE = re.compile(
    f"{_YEAR}|{_YEAR}{_MONTH}|{_MONTH}{_YEAR}|{_DAY}{_MONTH}[0-9][0-9]|{_MONTH}{_DAY}[0-9][0-9]|[0-9][0-9]{_MONTH}{_DAY}"
)
_COMMON_PINS = frozenset(
    re.findall(
        "[0-9]+",
        "0007 0070 0852 1004 1236 1342 1478 1590 2580 3698 5683 6969 7410 8520 10203 11223 12321 12344 14789 36987 "
        "102030 111222 112211 112358 123321 123654 135790 142536 147258 159357 159753 246810 258456 789456",
    )
)


def require_strong(
    *, email: str, names: Sequence[str], password: str | None = None, pin: str | None = None, prefix: str = ""
) -> None:
    """Refuse a new password or PIN that is easy to guess. Raises WeakSecret, which names each at its field.

    `prefix` is that of the fields: `new_` where they replace others.
    """
    errors = []
    if password is not None and is_weak_password(password, email=email, names=names):
        errors.append(FieldError(f"{prefix}password", WEAK_PASSWORD))
    if pin is not None and is_weak_pin(pin):
        errors.append(FieldError(f"{prefix}pin", WEAK_PIN))
    if errors:
        raise WeakSecret(errors)


def is_weak_password(password: str, *, email: str, names: Sequence[str] = ()) -> bool:
    """Whether the password, or what it adds to its owner's name and email, takes fewer than LEAST_GUESSES."""
    judged = opaque(password)[:JUDGED_CHARACTERS]
    words = _own_words(email, names)
    if _guesses(judged, [*words, *_WORDS_OF_THE_PLATFORM]) < LEAST_GUESSES:
        return True
    rest = judged.casefold()
    for word in words:
        rest = rest.replace(word, "")
    return len(rest) < len(judged.casefold()) and _guesses(rest, []) < LEAST_GUESSES


def is_weak_pin(pin: str) -> bool:
    """Whether the PIN is a pattern (1111, 1234, 2468, 1212, 1122), a year or a date, or one that many people choose."""
    return _is_pattern(pin) or _DATE.fullmatch(pin) is not None or pin in _COMMON_PINS


def _is_pattern(pin: str) -> bool:
    steps = {(int(digit) - int(before)) % 10 for before, digit in pairwise(pin)}
    is_repeated = any(pin == (pin[:size] * len(pin))[: len(pin)] for size in range(1, len(pin) // 2 + 1))
    return len(steps) == 1 or is_repeated or pin[0::2] == pin[1::2]


def _own_words(email: str, names: Sequence[str]) -> list[str]:
    """The words of which the owner's email and names are made, longest first."""
    texts = [email, email.partition("@")[0], *names]
    words = {"".join(re.findall(r"\w+", text.casefold())) for text in texts}
    for text in texts:
        words.update(re.findall(r"[^\W_]+", text.casefold()))
    return sorted((word for word in words if len(word) >= _LEAST_WORD), key=len, reverse=True)[:MAX_OWN_WORDS]


def _guesses(password: str, words: list[str]) -> int:
    return zxcvbn(password, words).guesses if password else 0
