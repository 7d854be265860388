"""Log lines as JSON objects, each with the id of its request."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import Any, TextIO

from shared import spans

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
facts: ContextVar[dict[str, str] | None] = ContextVar("facts", default=None)
"""What is known of the request, or the work, that is under way: ids of its owner, transfer, withdrawal."""

_HANDLER_NAME = "batua-json"
_encode = json.JSONEncoder(default=str).encode
_access = logging.getLogger("batua.access")


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, pid, message, ids of the request and its trace, what is known of the request, the
    `facts` passed as `extra`, and the traceback if any.

    Every request writes a line, so the object is put together here; the encoder encodes only what is rare.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = (0, "")
        self._pid = os.getpid()  # no process that logs forks

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = (
            f'{{"at": "{self._at(record.created)}", "level": {_quoted(record.levelname)}, '
            f'"logger": {_quoted(record.name)}, "pid": {self._pid}, "message": {_quoted(record.getMessage())}'
        )
        known = request_id.get()
        if known is not None:
            line += f', "request_id": {_quoted(known)}'
        trace_id = spans.trace_id()
        if trace_id is not None:
            line += f', "trace_id": "{trace_id}"'
        own, noted = getattr(record, "facts", None), facts.get()
        if noted:
            own = {**noted, **own} if isinstance(own, dict) else noted
        if isinstance(own, dict):
            for name, value in own.items():
                line += f", {_quoted(str(name))}: {_json(value)}"
        if record.exc_info:
            line += f', "traceback": {_quoted(self.formatException(record.exc_info))}'
        return line + "}"

    def _at(self, created: float) -> str:
        second = int(created)
        known, text = self._second
        if known != second:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = second, text
        return f"{text}.{int((created - second) * 1000):03d}+00:00"


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of requests together, once in a turn of the event loop: a write of its own costs more than a
    line. Any other line is written at once, after those that came before it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._gathered: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write or gather one line."""
        loop = _running_loop() if record.name == _access.name else None
        if loop is None:
            self.flush()
            super().emit(record)
            return
        try:
            self._gathered.append(self.format(record))
        except Exception:  # as StreamHandler does: a line that cannot be written stops nothing
            self.handleError(record)
            return
        if len(self._gathered) == 1:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what has gathered. Logging calls it at the end of the process, too."""
        self.acquire()
        try:
            lines, self._gathered = self._gathered, []
            if lines:
                self.stream.write("\n".join(lines) + self.terminator)
            super().flush()
        finally:
            self.release()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _json(value: Any) -> str:
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if kind is int or (kind is float and isfinite(value)):
        return repr(value)
    return _encode(value)


def note(**known: str) -> None:
    """Say more about the request that is being served: every line from now on has it."""
    noted = facts.get()
    if noted is not None:
        noted.update(known)


def log_request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Write the line of one answered request; `route` is a template, because a path would hold ids."""
    if not _access.isEnabledFor(logging.INFO):
        return
    known = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
    # Made directly: the logger would look through the stack for the line of code that logs, always this one.
    record = logging.LogRecord(_access.name, logging.INFO, __file__, 0, "%s %s %d", (method, route, status), None)
    record.facts = known
    _access.handle(record)


def configure_logging(level: str) -> None:
    """Log as JSON to standard error, the server's lines too. A second call only sets the level."""
    root = logging.getLogger()
    root.setLevel(level)
    # No line shows the thread or process, and finding out costs as much as writing it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    if not any(handler.name == _HANDLER_NAME for handler in root.handlers):
        handler = LineHandler(sys.stderr)
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
