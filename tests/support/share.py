"""How much of a deep test is run: all of it, or the share that `SHARE` says, between 0 and 1."""

from __future__ import annotations

import os

HOURS = 3 * 3600
"""Seconds that a deep test may take."""


def in_share(count: int) -> int:
    """So many of them, and at least ten."""
    return max(10, round(count * float(os.environ.get("SHARE", "1"))))
