"""The people and the bank of the demo. They act over HTTP only, as real ones would."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import httpx

from shared.ids import new_token

TIMEOUT_SECONDS = 15.0
PIN = "4812"
_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 0.5
"""What has not come for seconds is asked for less often: each question takes CPU from what it waits for."""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Has no certificates: on one machine all calls are plain HTTP, and loading some takes longer than a call."""

_T = TypeVar("_T")


class CheckFailed(Exception):
    """A step of the story did not have the outcome that it must have."""


@cache
def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context()


def tls_for(url: str) -> ssl.SSLContext:
    """By which certificates a server at this address is verified: the system's, or those in `SSL_CERT_FILE`."""
    return _authorities() if url.startswith("https:") else NO_TLS


def _client(url: str, **options: Any) -> httpx.Client:
    return httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=tls_for(url), **options)


def expect(condition: bool, what: str) -> None:
    """Raise CheckFailed unless the condition holds."""
    if not condition:
        raise CheckFailed(what)


def wait_for(ask: Callable[[], _T], is_right: Callable[[_T], bool], what: str, *, seconds: float) -> _T:
    """Ask until the answer is right. Raises CheckFailed with the last answer after `seconds`."""
    began = time.monotonic()
    while not is_right(answer := ask()):
        waited = time.monotonic() - began
        expect(waited < seconds, f"{what} (after {seconds:.0f} s: {answer})")
        time.sleep(min(max(_SHORTEST_PAUSE_SECONDS, waited / 10), _LONGEST_PAUSE_SECONDS))
    return answer


class Holder:
    """The holder of a wallet: a person at user_app or a shop at merchant_app."""

    def __init__(self, base_url: str, **profile: str) -> None:
        self.base_url = f"{base_url}/api/v1"
        self._http = _client(self.base_url, base_url=self.base_url)
        unique = new_token(6).lower().replace("_", "-").strip("-")
        self.password = new_token(12)
        body = {"email": f"demo-{unique}@example.com", "password": self.password, "pin": PIN, **profile}
        registered = self.post("/auth/register", body, expect_status=201).json()
        self.profile: dict[str, Any] = registered.get("user") or registered["merchant"]
        self.token: str = registered["token"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    @property
    def wallet_id(self) -> str:
        """The wallet id, which others type to pay them."""
        return str(self.profile["wallet_id"])

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Send any request; the answer is not checked."""
        return self._http.request(method, path, **how)

    def get(self, path: str) -> dict[str, Any]:
        """GET a resource. Raises CheckFailed unless the answer is 200."""
        answer = self._http.get(path)
        expect(answer.status_code == httpx.codes.OK, f"GET {path} answered {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: dict[str, Any], *, expect_status: int, key: str | None = None) -> httpx.Response:
        """POST a body, with a new idempotency key unless one is given. Raises CheckFailed on another status."""
        answer = self._http.post(path, json=body, headers={"Idempotency-Key": key or new_token()})
        expect(answer.status_code == expect_status, f"POST {path} answered {answer.status_code}: {answer.text}")
        return answer

    def balance(self) -> dict[str, int]:
        """`balance`, `held` and `available`, in paise."""
        wallet = self.get("/wallet")
        return {name: wallet[name] for name in ("balance", "held", "available")}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class SimulatedBank:
    """The simulated HDFC: its faults, its records, and its netbanking page as a browser uses it."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._http = _client(base_url, headers={"X-Api-Key": api_key})
        self._browser = _client(base_url)
        self._base_url = base_url.rstrip("/")

    def get(self, path: str) -> dict[str, Any]:
        """Read the bank's own records."""
        answer = self._http.get(self._base_url + path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def misbehave(self, **faults: Any) -> None:
        """Set the bank's faults; without arguments it has none."""
        self._http.put(f"{self._base_url}/api/faults", json=faults).raise_for_status()

    def approve(self, redirect_url: str) -> str:
        """Approve on the netbanking page; returns the address to which the bank sends the browser."""
        return self._decide(redirect_url, "approve")

    def decline(self, redirect_url: str) -> str:
        """Decline on the netbanking page; returns the address to which the bank sends the browser."""
        return self._decide(redirect_url, "decline")

    def _decide(self, redirect_url: str, decision: str) -> str:
        page = self._browser.get(redirect_url)
        expect(page.status_code == httpx.codes.OK, f"the netbanking page answered {page.status_code}")
        form = {"customer_id": "demo", "password": "demo", "decision": decision}
        answer = self._browser.post(redirect_url, data=form)
        expect(answer.status_code == httpx.codes.SEE_OTHER, f"{decision} answered {answer.status_code}")
        return answer.headers["location"]

    def send_again(self, token: str) -> dict[str, Any]:
        """Send the notice about this netbanking session again; returns the delivery with our answer."""
        notice = self.send_now(token)
        (notice,) = [each for each in self.get("/api/notices")["items"] if each["message_id"] == notice["message_id"]]
        delivery: dict[str, Any] = notice["deliveries"][-1]
        return delivery

    def send_now(self, token: str) -> dict[str, Any]:
        """Have the notice about this netbanking session sent, whether it was before or waits; returns it as it was."""
        notices: list[dict[str, Any]] = self.get("/api/notices")["items"]
        (notice,) = [each for each in notices if each["notice"].get("token") == token]
        self._http.post(f"{self._base_url}/api/notices/{notice['message_id']}/resend").raise_for_status()
        return notice

    def calls_for(self, references: set[str]) -> list[dict[str, Any]]:
        """The payout calls the bank took for these references, oldest first."""
        return [call for call in self.get("/api/calls")["items"] if call["reference"] in references]

    def paid(self, references: set[str]) -> list[dict[str, Any]]:
        """The lines of the bank's statement that paid these references."""
        items = self.get("/api/statement")["items"]
        return [item for item in items if item["reference"] in references and item["direction"] == "DEBIT"]

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
        self._browser.close()
