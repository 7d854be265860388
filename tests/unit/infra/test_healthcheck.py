"""A container's health check says what is true of its process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from infra import healthcheck
from infra.local.layout import CHECKOUT
from shared.runtime.heartbeat import Heartbeat
from tests.support.deadlines import deadline


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Write no line."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_service_that_answers_is_well(address: str) -> None:
    assert healthcheck.problem_at(f"{address}/healthz", deadline()) is None


def test_a_service_that_answers_an_error_is_not(address: str) -> None:
    assert healthcheck.problem_at(f"{address}/readyz", deadline()) == f"{address}/readyz answered 503"


def test_a_service_that_accepts_and_says_nothing_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        problem = healthcheck.problem_at(f"http://127.0.0.1:{silent.getsockname()[1]}/healthz", 0.2)
    assert problem is not None
    assert "does not answer" in problem


def test_a_port_on_which_no_one_listens_is_not_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert healthcheck.main(["http://127.0.0.1:1/healthz"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_heart_that_beats_is_well_and_one_that_stopped_is_not(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    assert "there is no heartbeat" in (healthcheck.problem_of(file) or "")
    Heartbeat(file).beat()
    assert healthcheck.problem_of(file, deadline(60)) is None
    stopped_at = time.time() - 2 * healthcheck.WITHIN_SECONDS
    os.utime(file, (stopped_at, stopped_at))
    assert "s ago" in (healthcheck.problem_of(file) or "")
    Heartbeat(file).beat()
    assert healthcheck.problem_of(file, deadline(60)) is None


def test_a_heartbeat_that_cannot_be_written_is_said_once_and_stops_no_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heart = Heartbeat(tmp_path / "missing" / "heartbeat")
    heart.beat()
    heart.beat()
    assert len(caplog.records) == 1
    Heartbeat(None).beat()


def test_it_loads_the_standard_library_only() -> None:
    program = "import sys, infra.healthcheck; print([n for n in ('typer', 'pydantic', 'shared') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
