"""The lines that a service logs about its requests, as they are written."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.runtime.logs import JsonFormatter

Line = dict[str, Any]


class _Kept(logging.Handler):
    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(json.loads(self.format(record)))


@contextmanager
def access_lines() -> Iterator[list[Line]]:
    """What is logged from now on about the requests that apps in this process have served."""
    lines: list[Line] = []
    logger, handler = logging.getLogger("batua.access"), _Kept(lines)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def line_of(lines: list[Line], method: str, route: str) -> Line:
    """The only one about this route."""
    (found,) = [line for line in lines if (line["method"], line["route"]) == (method, route)]
    return found
