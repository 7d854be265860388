"""Which migrations this version has. A service that asks does not load the library that applies them."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def newest_revision() -> str:
    """The number of the newest migration, as the database keeps it: `0015`."""
    return max(file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*_*.py"))
