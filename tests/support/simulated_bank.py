"""The simulated bank as a test sees it: at one end a client, at the other a platform that listens."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn

from infra.demo.actors import NO_TLS
from services.dummy_bank.main import create_app
from services.dummy_bank.settings import BankSimulatorSettings
from shared.banks.notices import Notice
from shared.banks.signatures import SignatureInvalid, verify
from shared.banks.table import BANKS
from tests.support.deadlines import deadline
from tests.support.waiting import eventually

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"dummy bank tests' webhook secret").decode()
KEYS = {code: f"{code}-key-of-these-tests" for code in BANKS}
RETURN_URL = "http://127.0.0.1:12099/on-ramps/1?x=1"


@dataclass
class Heard:
    bank: str
    message_id: str
    authentic: bool
    notice: Notice


@dataclass
class Platform:
    """Answers webhooks with `answers` in turn, then with 200."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        bank = path.rsplit("/", 1)[-1]
        try:
            verify([WEBHOOK_SECRET], headers, body, now=datetime.now(UTC))
            authentic = True
        except SignatureInvalid:
            authentic = False
        self.heard.append(Heard(bank, headers["webhook-id"], authentic, BANKS[bank].decode(body)))
        if not authentic:
            return 401
        return self.answers.pop(0) if self.answers else 200


@dataclass
class BankClient:
    """What a test does at one bank; `http` is keyed, `browser` is not."""

    code: str
    http: httpx.Client
    browser: httpx.Client

    def faults(self, **chosen: object) -> None:
        self.http.put("/api/faults", json=chosen).raise_for_status()

    def open_session(self, reference: str = "onramp-1", amount: int = 20000, **more: object) -> str:
        asked = {"reference": reference, "user_id": "user-1", "amount": amount, "return_url": RETURN_URL}
        answer = self.http.post("/api/netbanking/sessions", json={**asked, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def decide(self, token: str, decision: str = "approve", who: str = "demo") -> httpx.Response:
        form = {"customer_id": who, "password": who, "decision": decision}
        return self.browser.post(f"/netbanking/{token}", data=form)

    def session(self, token: str) -> dict[str, Any]:
        state: dict[str, Any] = self.http.get(f"/api/netbanking/sessions/{token}").json()
        return state

    def pay(self, reference: str = "payout-1", amount: int = 500, **more: Any) -> httpx.Response:
        asked = {
            "reference": reference,
            "account_number": "1234567890",
            "ifsc": "ICIC0001234",
            "account_holder": "Alice Fernandes",
            "amount": amount,
        }
        timeout = more.pop("timeout", deadline())
        return self.http.post("/api/transfers", json={**asked, **more}, timeout=timeout)

    def items(self, what: str, **params: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/api/{what}", params=params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def paid_out(self, reference: str) -> list[dict[str, Any]]:
        return [line for line in self.items("statement") if line["reference"] == reference]


def bank_client(base_url: str, code: str) -> BankClient:
    url = f"{base_url}/{code}"
    keyed = httpx.Client(base_url=url, headers={"x-api-key": KEYS[code]}, trust_env=False, verify=NO_TLS)
    return BankClient(code, keyed, httpx.Client(base_url=url, trust_env=False, verify=NO_TLS))


@dataclass
class Running:
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=deadline())
        assert not self.thread.is_alive()


def run_app(settings: BankSimulatorSettings) -> Running:
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=0, log_level="warning", ws="none", timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    return Running(f"http://127.0.0.1:{port}", server, thread)
