"""Leave something that has just failed alone for a moment, instead of making every request wait for it."""

from __future__ import annotations

import time

COOL_DOWN_SECONDS = 1.0


class CoolDown:
    """Open for use until a failure is reported; then closed for a second."""

    def __init__(self, seconds: float = COOL_DOWN_SECONDS) -> None:
        self._seconds = seconds
        self._closed_until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is worth trying (again)."""
        return time.monotonic() >= self._closed_until

    def start(self) -> None:
        """It failed just now."""
        self._closed_until = time.monotonic() + self._seconds
