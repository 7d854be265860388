"""Wallet ids that people can say and type: `alice@batua`, and when that is taken `alice2@batua`."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator

SUFFIX = "@batua"
MAX_BASE_LENGTH = 24
NUMBERED, RANDOM = 8, 6
_RANDOM_RANGE = range(1000, 1_000_000)
# Nobody may look like the platform itself, a bank, or whoever keeps order between them: not at the front of a wallet
# id, not anywhere in it, and not with a number behind it.
_NOWHERE = ("batua", "hdfc", "axisbank", "icicibank", "kotakbank", "statebank", "reservebank")
_NOT_AT_THE_FRONT = ("admin", "customercare", "helpdesk", "npci", "official", "security", "support", "system")
_NOT_WHOLE = {
    "axis",
    "bank",
    "care",
    "help",
    "icici",
    "kotak",
    "rbi",
    "refund",
    "refunds",
    "root",
    "sbi",
    "staff",
    "upi",
}


def base_of(name: str, *, otherwise: str) -> str:
    """The letters and digits of a name, in ASCII and lower case; `otherwise` when none are left, or when they would
    look like the platform or a bank.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]", "", plain)[:MAX_BASE_LENGTH]
    return otherwise if not base or _is_reserved(base) else base


def candidates(base: str) -> Iterator[str]:
    """A bounded number of handles to try, the nicest first."""
    yield f"{base}{SUFFIX}"
    yield from (f"{base}{number}{SUFFIX}" for number in range(2, 2 + NUMBERED))
    yield from (f"{base}{secrets.choice(_RANDOM_RANGE)}{SUFFIX}" for _ in range(RANDOM))


def _is_reserved(base: str) -> bool:
    word = base.strip("0123456789")
    return word in _NOT_WHOLE or word.startswith(_NOT_AT_THE_FRONT) or any(each in word for each in _NOWHERE)
