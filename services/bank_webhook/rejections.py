"""What is turned away is counted, every time, and logged, but never more than a little of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from prometheus_client import Counter

REFUSED = Counter("batua_webhook_refused", "Webhook calls turned away before they were authentic", ["bank", "code"])
DELIVERIES = Counter("batua_webhook_deliveries", "Authentic deliveries by verdict", ["bank", "verdict"])

LINES_PER_WINDOW = 20
WINDOW_SECONDS = 60.0

_logger = logging.getLogger(__name__)


class RefusalLog:
    """At most LINES_PER_WINDOW lines per WINDOW_SECONDS, then one that says how many were left out."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._window_started = monotonic()
        self._lines = 0
        self._left_out = 0

    def note(self, bank: str, code: str, source: str) -> None:
        """Count a refusal, and log it if there is room. `bank` is one of ours or `unknown`, never the caller's word."""
        REFUSED.labels(bank, code).inc()
        now = self._monotonic()
        if now - self._window_started >= WINDOW_SECONDS:
            if self._left_out:
                _logger.warning("%d more refused webhook calls were not logged", self._left_out)
            self._window_started, self._lines, self._left_out = now, 0, 0
        if self._lines < LINES_PER_WINDOW:
            self._lines += 1
            _logger.warning("webhook call for %s from %s refused: %s", bank, source, code)
        else:
            self._left_out += 1
