"""Wallet ids (handles) for new owners: `alice@batua`, and `alice2@batua` when that is taken."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator

from shared.auth.rules import HANDLE_SUFFIX
from shared.banks.table import BANKS

MAX_BASE_LENGTH = 24
NUMBERED, RANDOM = 8, 6
"""How many handles with a small number, and then with a random number, are tried."""
_RANDOM_RANGE = range(1000, 1_000_000)
# A wallet id must not look like the platform, a bank or an authority: not as a whole, not at its start, not with a
# number after it.
_NOWHERE = ("batua", "hdfc", "axisbank", "icicibank", "kotakbank", "statebank", "reservebank")
_NOT_AT_THE_START = ("admin", "customercare", "helpdesk", "npci", "official", "security", "support", "system")
_NOT_WHOLE = {
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


def handle_base(name: str, *, otherwise: str) -> str:
    """The letters and digits of a name in lower-case ASCII. `otherwise` if none are left, or the result is reserved."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]", "", plain)[:MAX_BASE_LENGTH]
    return otherwise if not base or _is_reserved(base) else base


def candidates(base: str) -> Iterator[str]:
    """The handles to try in order: the base, the base with a small number, then with a random number."""
    yield f"{base}{HANDLE_SUFFIX}"
    yield from (f"{base}{number}{HANDLE_SUFFIX}" for number in range(2, 2 + NUMBERED))
    yield from (f"{base}{secrets.choice(_RANDOM_RANGE)}{HANDLE_SUFFIX}" for _ in range(RANDOM))


def _is_reserved(base: str) -> bool:
    word = base.strip("0123456789")
    is_whole = word in _NOT_WHOLE or word in BANKS
    return is_whole or word.startswith(_NOT_AT_THE_START) or any(each in word for each in _NOWHERE)
