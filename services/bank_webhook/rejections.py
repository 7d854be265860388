"""Count every rejected call, and log at most a few of them, so that a flood of calls cannot flood the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from services.bank_webhook.metrics import REJECTED

LINES_PER_WINDOW = 20
WINDOW_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class RejectionLog:
    """At most LINES_PER_WINDOW lines per WINDOW_SECONDS, then one line that says how many were left out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._window_started = monotonic()
        self._lines = 0
        self._left_out = 0

    def record(self, bank: str, code: str, source: str) -> None:
        """Count a rejection, and log it if there is room. `bank` is one of ours or `unknown`, no text of the caller."""
        REJECTED.labels(bank, code).inc()
        now = self._monotonic()
        if now - self._window_started >= WINDOW_SECONDS:
            if self._left_out:
                _logger.warning("%d more rejected webhook calls were not logged", self._left_out)
            self._window_started, self._lines, self._left_out = now, 0, 0
        if self._lines < LINES_PER_WINDOW:
            self._lines += 1
            _logger.warning("webhook call for %s from %s rejected: %s", bank, source, code)
        else:
            self._left_out += 1
