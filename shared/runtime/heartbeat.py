"""A file that a process without a port touches while it works: its age tells a health check whether it is stuck."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from shared import clock
from shared.config import Settings

BEAT_SECONDS = 5.0
"""Between two touches, where nothing else sets the pace."""

_logger = logging.getLogger(__name__)


class HeartbeatSettings(Settings):
    """How the health check of a process without a port finds out that it works."""

    heartbeat_file: Path | None = None
    """File that the process touches every few seconds while it works; `python -m infra.healthcheck <file>` reads its
    age. Not set: none."""


class Heartbeat:
    """Touches the file, if there is one."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._is_failing = False

    def beat(self) -> None:
        """Touch the file. Where that fails, the work goes on and the health check sees an old file."""
        if self._file is None:
            return
        try:
            self._file.touch()
            now = clock.now().timestamp()
            os.utime(self._file, (now, now))
        except OSError as error:
            if not self._is_failing:
                _logger.error("no heartbeat: %s cannot be written: %s", self._file, error.strerror)
            self._is_failing = True
        else:
            self._is_failing = False
