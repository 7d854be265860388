"""A stranger to the attacker: signs in and pays, one request after the other, and notes what each took.

The stranger has another network address, and for each sign-in a browser that Batua does not know.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import httpx

from infra.demo.actors import NO_TLS, PIN, Holder
from shared.ids import new_token

ADDRESS = "127.0.0.2"
"""The attacks come from 127.0.0.1."""
TIMEOUT_SECONDS = 60.0
PAYMENT_PAISE = 100
"""Above what counts as a very small transfer, of which one may make so many in a day."""
TOKEN_PAYMENTS = 10
"""With a PIN token, in each round: they are short, so that one says little."""
PAUSE_SECONDS = 0.02
FIRST_SECONDS, FIRST_PAUSE_SECONDS = 1.0, 0.004
"""With nothing but payments with a PIN token, one right after the other: the moment at which all requests of an attack
come at once passes between none of them."""

SIGN_IN, WITH_PIN, WITH_TOKEN = "sign-in", "payment with PIN", "payment with PIN token"
Times = dict[str, list[float]]
"""Seconds of each kind of request."""


class Stranger:
    """Pays a friend. `refusals` are the answers, other than success, that either was given."""

    def __init__(self, url: str) -> None:
        self.holder, friend = (Holder(url, first_name=name, last_name="Rao") for name in ("Asha", "Ravi"))
        self.refusals: list[str] = []
        self._payment = {"to": friend.wallet_id, "amount": PAYMENT_PAISE}
        self._wallet = self._client({"Authorization": f"Bearer {self.holder.token}"})
        friend.close()

    def measure(self, is_over: Callable[[], bool], begin: Callable[[], None] = lambda: None) -> Times:
        """Payments with a PIN token, then rounds of one sign-in, one payment with PIN and some with a PIN token, until
        told; the first round is whole. `begin` is called between two of the first payments, to let an attack begin.
        """
        token = self._wallet.post("/auth/pin", json={"pin": PIN}).raise_for_status().json()["pin_token"]
        times: Times = {SIGN_IN: [], WITH_PIN: [], WITH_TOKEN: []}

        def pay_by_token() -> httpx.Response:
            return self._pay({}, {"X-Pin-Token": token})

        round_of = [(SIGN_IN, self._sign_in), (WITH_PIN, lambda: self._pay({"pin": PIN}, {}))]
        round_of += [(WITH_TOKEN, pay_by_token)] * TOKEN_PAYMENTS
        self._timed(times[WITH_TOKEN], pay_by_token)
        begin()
        ends_at = time.monotonic() + FIRST_SECONDS
        while time.monotonic() < ends_at:
            self._timed(times[WITH_TOKEN], pay_by_token)
            time.sleep(FIRST_PAUSE_SECONDS)
        for kind, send in itertools.cycle(round_of):
            if times[WITH_PIN] and kind == SIGN_IN and is_over():
                break
            self._timed(times[kind], send)
            time.sleep(PAUSE_SECONDS)
        return times

    def close(self) -> None:
        """Close the connections."""
        self.holder.close()
        self._wallet.close()

    def _timed(self, seconds: list[float], send: Callable[[], httpx.Response]) -> None:
        began = time.perf_counter()
        try:
            answer = send()
        except httpx.HTTPError as error:
            self.refusals.append(repr(error))
        else:
            if not answer.is_success:
                self.refusals.append(f"{answer.status_code} {answer.text}")
        seconds.append(time.perf_counter() - began)

    def _sign_in(self) -> httpx.Response:
        credentials = {"email": self.holder.profile["email"], "password": self.holder.password}
        with self._client({}) as browser:
            return browser.post("/auth/login", json=credentials)

    def _pay(self, body: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        headers = headers | {"Idempotency-Key": new_token()}
        return self._wallet.post("/transfers", json=self._payment | body, headers=headers)

    def _client(self, headers: dict[str, str]) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=ADDRESS, verify=NO_TLS, trust_env=False)
        return httpx.Client(
            base_url=self.holder.base_url, transport=transport, headers=headers, timeout=TIMEOUT_SECONDS
        )
