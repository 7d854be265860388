"""Wallet ids (handles) for new owners: `alice@batua`, and `alice2@batua` when that is taken."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterator
from itertools import chain

from shared.auth.names import is_reserved_handle
from shared.auth.rules import HANDLE_SUFFIX

MAX_BASE_LENGTH = 24
NUMBERED, RANDOM = 8, 6
"""How many handles with a small number, and then with a random number, are tried."""
_RANDOM_RANGE = range(1000, 1_000_000)


def handle_base(name: str, *, otherwise: str) -> str:
    """The letters and digits of a name in lower-case ASCII. `otherwise` if none are left, or the result is reserved."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]", "", plain)[:MAX_BASE_LENGTH]
    return otherwise if not base or is_reserved_handle(base) else base


def candidates(base: str) -> Iterator[str]:
    """The handles to try in order: the base, the base with a small number, then with a random number. Left out is what
    passes for another because of the number: `suppor7@batua`.
    """
    numbers = chain(range(2, 2 + NUMBERED), (secrets.choice(_RANDOM_RANGE) for _ in range(RANDOM)))
    bases = chain([base], (f"{base}{number}" for number in numbers))
    return (f"{each}{HANDLE_SUFFIX}" for each in bases if not is_reserved_handle(each))
