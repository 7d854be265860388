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
# Nobody may look like the platform itself.
_RESERVED = {"admin", "bank", "batua", "help", "root", "security", "support", "system"}


def base_of(name: str, *, otherwise: str) -> str:
    """The letters and digits of a name, in ASCII and lower case; `otherwise` when none are left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)[:MAX_BASE_LENGTH] or otherwise


def candidates(base: str) -> Iterator[str]:
    """A bounded number of handles to try, the nicest first."""
    if base not in _RESERVED:
        yield f"{base}{SUFFIX}"
        yield from (f"{base}{number}{SUFFIX}" for number in range(2, 2 + NUMBERED))
    yield from (f"{base}{secrets.choice(_RANDOM_RANGE)}{SUFFIX}" for _ in range(RANDOM))
