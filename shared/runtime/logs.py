"""Log lines as JSON objects, each with the id of its request."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_HANDLER_NAME = "batua-json"


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message, request id, the `facts` passed as `extra`, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = request_id.get()
        if known is not None:
            line["request_id"] = known
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line |= facts
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Log as JSON to standard error, the server's lines too. A second call only sets the level."""
    root = logging.getLogger()
    root.setLevel(level)
    if not any(handler.name == _HANDLER_NAME for handler in root.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.name = _HANDLER_NAME
        handler.setFormatter(JsonFormatter())
        root.addHandler(handler)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # The middleware logs each request. The server's own line would hold the whole address with its query.
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
