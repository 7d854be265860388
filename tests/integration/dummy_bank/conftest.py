"""The real app behind a real socket, and a small platform that writes down what it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.dummy_bank.settings import BankSimulatorSettings
from shared.banks.table import BANKS
from tests.support.bank_settings import simulator_values
from tests.support.simulated_bank import KEYS, WEBHOOK_SECRET, BankClient, Platform, bank_client, run_app


@pytest.fixture
def platform() -> Iterator[Platform]:
    told = Platform()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = told.take(self.path, {name.lower(): text for name, text in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path, platform: Platform) -> BankSimulatorSettings:
    return BankSimulatorSettings(
        database=tmp_path / "bank.sqlite",
        public_url="http://bank.test",
        **simulator_values(dict.fromkeys(KEYS, WEBHOOK_SECRET), webhook_url=platform.url, keys=KEYS),
        webhook_retry_base_seconds=0.05,
        webhook_retry_cap_seconds=0.2,
    )


@pytest.fixture
def bank_url(settings: BankSimulatorSettings) -> Iterator[str]:
    running = run_app(settings)
    yield running.url
    running.stop()


@pytest.fixture(params=BANKS)
def bank(bank_url: str, request: pytest.FixtureRequest) -> Iterator[BankClient]:
    client = bank_client(bank_url, request.param)
    yield client
    client.http.close()
    client.browser.close()


@pytest.fixture
def hdfc(bank_url: str) -> Iterator[BankClient]:
    client = bank_client(bank_url, "hdfc")
    yield client
    client.http.close()
    client.browser.close()


@pytest.fixture
def axis(bank_url: str) -> Iterator[BankClient]:
    client = bank_client(bank_url, "axis")
    yield client
    client.http.close()
    client.browser.close()
