"""Use nothing for a moment after it failed, so that a failure delays one request and not every request."""

from __future__ import annotations

import time

COOL_DOWN_SECONDS = 1.0


class CoolDown:
    """Over until a failure starts it, and over again `seconds` later. Threads may share it."""

    def __init__(self, seconds: float = COOL_DOWN_SECONDS) -> None:
        self._seconds = seconds
        self._ends_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether to try now."""
        return time.monotonic() >= self._ends_at

    def start(self) -> None:
        """Call it after a failure."""
        self._ends_at = time.monotonic() + self._seconds
