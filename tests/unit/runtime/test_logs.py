from __future__ import annotations

import json
import logging
import sys

from shared.runtime.logs import JsonFormatter, configure_logging, request_id


def record(message: str, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("batua", logging.INFO, __file__, 1, message, None, None)
    made.__dict__.update(more)
    return made


def test_a_line_is_one_json_object_with_the_request_id() -> None:
    token = request_id.set("abc")
    try:
        line = JsonFormatter().format(record("two\nlines", facts={"status": 200}))
    finally:
        request_id.reset(token)
    assert "\n" not in line
    assert json.loads(line).items() >= {"message": "two\nlines", "status": 200, "request_id": "abc"}.items()


def test_a_traceback_stays_on_its_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        line = JsonFormatter().format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["traceback"]


def test_the_servers_own_access_lines_are_silent() -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        configure_logging("INFO")
        configure_logging("INFO")
        assert len(root.handlers) <= len(before) + 1
        assert not logging.getLogger("uvicorn.access").propagate
        assert logging.getLogger("uvicorn.error").propagate
    finally:
        root.handlers[:] = before
        root.setLevel(level)
