from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import os
import sys
from decimal import Decimal

import pytest

from shared.runtime.logs import JsonFormatter, LineHandler, configure_logging, facts, log_request, note, request_id


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


def test_a_line_has_what_was_noted_of_its_request_and_a_line_outside_has_not() -> None:
    token = facts.set({})
    note(owner_id="o", transfer_id="t")
    inside = json.loads(JsonFormatter().format(record("m", facts={"owner_id": "its own", "status": 201})))
    facts.reset(token)
    note(owner_id="no one's")
    outside = json.loads(JsonFormatter().format(record("m")))
    assert (inside["owner_id"], inside["transfer_id"], inside["status"]) == ("its own", "t", 201)
    assert outside.keys().isdisjoint({"owner_id", "transfer_id", "trace_id"})


def test_every_kind_of_fact_is_written_as_json_writes_it() -> None:
    facts = {
        "text": 'q"uo\\te\n\u20b9\ud800',
        "number": -7,
        "large": 2**80,
        "share": 0.1,
        "none": None,
        "yes": True,
        "many": [1, {"a": "b"}],
        "odd": Decimal("1.50"),
        'na"me': 1,
    }
    line = JsonFormatter().format(record("m", facts=facts | {"endless": math.inf}))
    written = json.loads(line)
    assert written.pop("endless") == math.inf
    assert written.items() >= (facts | {"odd": "1.50"}).items()
    assert line.isascii()


def test_the_time_is_in_utc_to_the_millisecond() -> None:
    formatter = JsonFormatter()
    shown = [
        json.loads(formatter.format(record("m", created=created)))["at"]
        for created in (1795701600.0004, 1795701600.9999, 1795701601.25)
    ]
    assert shown == [
        "2026-11-26T14:00:00.000+00:00",
        "2026-11-26T14:00:00.999+00:00",
        "2026-11-26T14:00:01.250+00:00",
    ]


def test_a_request_is_one_line_with_its_facts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="batua.access"):
        log_request(method="GET", route="/api/v1/wallet", status=200, seconds=0.00123)
    (made,) = caplog.records
    written = json.loads(JsonFormatter().format(made))
    assert written.pop("at")
    assert written == {
        "level": "INFO",
        "logger": "batua.access",
        "pid": os.getpid(),
        "message": "GET /api/v1/wallet 200",
        "method": "GET",
        "route": "/api/v1/wallet",
        "status": 200,
        "ms": 1.2,
    }


class Written(io.StringIO):
    """Keeps what each write wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str, /) -> int:
        self.writes.append(text)
        return super().write(text)


async def test_lines_of_requests_are_written_together_and_none_overtakes_another() -> None:
    stream = Written()
    handler = LineHandler(stream)
    of_a_request = logging.LogRecord("batua.access", logging.INFO, __file__, 0, "request %d", (1,), None)
    handler.handle(of_a_request)
    handler.handle(of_a_request)
    assert not stream.writes
    await asyncio.sleep(0)
    assert stream.writes == ["request 1\nrequest 1\n"]
    handler.handle(of_a_request)
    handler.handle(record("trouble"))
    assert stream.getvalue() == "request 1\nrequest 1\nrequest 1\ntrouble\n"
    handler.handle(of_a_request)
    handler.flush()  # as logging does when the process ends
    assert stream.getvalue().endswith("trouble\nrequest 1\n")
    await asyncio.sleep(0)
    assert stream.getvalue().count("request 1") == 4


def test_without_an_event_loop_a_line_is_written_at_once() -> None:
    stream = Written()
    LineHandler(stream).handle(logging.LogRecord("batua.access", logging.INFO, __file__, 0, "request", (), None))
    assert stream.getvalue() == "request\n"


def test_no_line_is_made_for_a_level_that_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="batua.access"):
        log_request(method="GET", route="/", status=200, seconds=0.1)
    assert not caplog.records


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
