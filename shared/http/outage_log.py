"""The lines about requests that an outage failed: short, so that no outage fills the log."""

from __future__ import annotations

import logging
import time

TRACEBACK_SECONDS = 60.0
"""An outage fails requests at the same few places, by tracebacks of some 15 kB. Were each written, a hundred requests a
second would push all else out of a bounded log within seconds.
"""

_logger = logging.getLogger(__name__)


class OutageLog:
    """Writes a line for each request, and for each kind of error a traceback in TRACEBACK_SECONDS."""

    def __init__(self) -> None:
        self._next_at: dict[type[BaseException], float] = {}

    def write(self, error: Exception) -> None:
        """Say that a request failed by this."""
        now, kind = time.monotonic(), type(error)
        is_due = now >= self._next_at.get(kind, 0.0)
        if is_due:
            self._next_at[kind] = now + TRACEBACK_SECONDS
        _logger.warning("unavailable: %s", kind.__name__, exc_info=error if is_due else None)
