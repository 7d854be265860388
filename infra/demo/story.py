"""The story of `batua demo`, told and checked step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console

from infra.demo.actors import PIN, TIMEOUT_SECONDS, Holder, SimulatedBank, expect, tls_for, wait_for
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.ids import new_token
from shared.money import Money

BANK = BANKS["hdfc"]
CLICKS = 5
FORGED_SECRET = "whsec_bm90IHRoZSBiYW5rJ3Mgc2VjcmV0LCBub3QgYXQgYWxs"  # noqa: S105 - what a forger would guess


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the stack's services."""

    user_app: str
    merchant_app: str
    bank_webhook: str
    bank: str


class Story:
    """Alice, Bob and a tea shop. Raises CheckFailed at the first step whose outcome is wrong."""

    def __init__(self, addresses: Addresses, api_key: str, console: Console, *, patience_seconds: float) -> None:
        self._addresses = addresses
        self._console = console
        self._patience_seconds = patience_seconds
        self._bank = SimulatedBank(addresses.bank, api_key)

    def tell(self) -> None:
        """Tell the whole story. Afterwards the bank has no faults, also after a failure."""
        self._bank.misbehave()
        try:
            self._all_register()
            self._alice_adds_money()
            self._copies_and_forgeries_change_nothing()
            self._alice_pays_bob_once()
            self._bob_has_tea()
            self._the_bank_has_a_bad_day()
            self._the_shop_counts()
        finally:
            self._bank.misbehave()
            self._bank.close()

    def _chapter(self, title: str) -> None:
        self._console.print(f"\n[bold]{title}[/bold]")

    def _done(self, text: str) -> None:
        self._console.print(f"  [green]✓[/green] {text}")

    def _all_register(self) -> None:
        self._chapter("Alice, Bob and a tea shop join")
        self._alice = Holder(self._addresses.user_app, first_name="Alice", last_name="Rao")
        self._bob = Holder(self._addresses.user_app, first_name="Bob", last_name="Khan")
        self._shop = Holder(self._addresses.merchant_app, business_name="Chai Point", category="food")
        for holder in (self._alice, self._bob, self._shop):
            expect(holder.balance()["balance"] >= 0, "a new wallet does not start below zero")
        self._start = {holder.wallet_id: holder.balance()["balance"] for holder in (self._alice, self._bob)}
        self._done(f"{self._alice.wallet_id}, {self._bob.wallet_id} and the shop {self._shop.wallet_id}")

    def _alice_adds_money(self) -> None:
        self._chapter(f"Alice adds ₹2,000 from {BANK.name}")
        asked = self._alice.post("/on-ramps", {"bank": BANK.code, "amount": 2000_00}, expect_status=201).json()
        expect(asked["status"] == "pending", "the on-ramp waits for the bank")
        self._done("her browser is sent to the bank; the on-ramp is pending until the bank confirms")
        self._bank.approve(asked["redirect_url"])
        wait_for(
            lambda: self._alice.get(f"/on-ramps/{asked['id']}")["status"],
            lambda status: status == "success",
            "the bank's server tells our webhook",
            seconds=self._patience_seconds,
        )
        self._token = asked["redirect_url"].rstrip("/").rpartition("/")[2]
        self._alice_has(2000_00)
        self._done("she approves, the bank's server calls our webhook, ₹2,000.00 are in her wallet")

    def _copies_and_forgeries_change_nothing(self) -> None:
        self._chapter("The bank's notice arrives again, and once with a forged signature")
        copy = self._bank.send_again(self._token)
        expect(copy["status"] == httpx.codes.OK, f"a copy is answered 200, not {copy['status']}: {copy['answer']}")
        expect('"duplicate"' in copy["answer"], f"a copy is a duplicate, not {copy['answer']}")
        self._done("a copy with a valid signature is answered: duplicate")
        session = self._bank.get(f"/api/netbanking/sessions/{self._token}")
        notice = PaymentNotice(
            BANK.code, "success", self._token, session["user_id"], session["amount"], session["bank_reference"]
        )
        forged = self._deliver(BANK.encode(notice), FORGED_SECRET)
        # 403 where this machine is in none of the bank's networks: the signature is then not even looked at.
        refused = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}
        expect(forged.status_code in refused, f"a forged one answered {forged.status_code}")
        self._done(f"a forged one is refused: {forged.status_code}")
        self._alice_has(2000_00)
        self._done("Alice still has ₹2,000.00")

    def _alice_pays_bob_once(self) -> None:
        self._chapter("Alice sends ₹500 to Bob, and her phone repeats the request")
        body = {"to": self._bob.wallet_id, "amount": 500_00, "note": "Concert tickets", "pin": PIN}
        key = new_token()
        first = self._alice.post("/transfers", body, expect_status=201, key=key)
        again = self._alice.post("/transfers", body, expect_status=201, key=key)
        expect(again.json() == first.json(), "the repeated request gets the first answer")
        expect(again.headers.get("Idempotent-Replayed") == "true", "and is marked as replayed")
        self._alice_has(1500_00)
        self._done("the same key gets the same answer, and ₹1,500.00 are left")

    def _bob_has_tea(self) -> None:
        self._chapter("Bob pays the tea shop ₹300")
        body = {"to": self._shop.wallet_id, "amount": 300_00, "note": "Masala chai for all", "pin": PIN}
        paid = self._bob.post("/transfers", body, expect_status=201).json()
        expect(paid["kind"] == "payment", f"paying a shop is a payment, not {paid['kind']}")
        self._paid_at = datetime.fromisoformat(paid["created_at"])
        expect(self._bob.balance()["balance"] == self._start[self._bob.wallet_id] + 200_00, "Bob has ₹200 left")
        self._done("paid; Bob has ₹200.00 of Alice's ₹500.00 left")

    def _the_bank_has_a_bad_day(self) -> None:
        self._chapter(f"The bank times out after it has paid; Alice clicks withdraw {CLICKS} times")
        self._bank.misbehave(timeout_after_rate=1.0, idempotency=False, seed=1)
        withdrawals = [self._withdraw() for _ in range(CLICKS)]
        references = {withdrawal["id"] for withdrawal in withdrawals}
        self._done(f"{CLICKS} withdrawals of ₹100 queued; {self._queue()}")
        self._until_paid(references, 2)
        self._done(f"two are paid, although every answer of the bank was lost; {self._queue()}")
        self._bank.misbehave(down=True)
        wait_for(
            lambda: {w["status"] for w in self._alice.get("/withdrawals")["items"]},
            lambda statuses: bool(statuses & {"waiting", "unknown"}),
            "a withdrawal waits for the bank",
            seconds=self._patience_seconds,
        )
        self._done(f"now the bank is down; {self._queue()}")
        self._bank.misbehave()
        self._until_paid(references, CLICKS)
        self._each_left_alone_and_once(references)

    def _withdraw(self) -> dict[str, Any]:
        body = {
            "bank": BANK.code,
            "account_number": "50100012345678",
            "ifsc": f"{BANK.ifsc_prefix}0000123",
            "account_holder": "Alice Rao",
            "amount": 100_00,
            "pin": PIN,
        }
        queued: dict[str, Any] = self._alice.post("/withdrawals", body, expect_status=202).json()
        return queued

    def _queue(self) -> str:
        statuses = [withdrawal["status"] for withdrawal in self._alice.get("/withdrawals")["items"]]
        counts = {status: statuses.count(status) for status in dict.fromkeys(reversed(statuses))}
        return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())

    def _until_paid(self, references: set[str], count: int) -> None:
        wait_for(
            lambda: [w["status"] for w in self._alice.get("/withdrawals")["items"] if w["id"] in references],
            lambda statuses: statuses.count("succeeded") >= count,
            f"{count} withdrawals have succeeded",
            seconds=self._patience_seconds,
        )

    def _each_left_alone_and_once(self, references: set[str]) -> None:
        paid = [item["reference"] for item in self._bank.paid(references)]
        expect(sorted(paid) == sorted(references), f"the bank paid each exactly once, not {paid}")
        calls = self._bank.calls_for(references)
        for earlier, later in pairwise(calls):
            expect(later["started_at"] >= (earlier["ended_at"] or "9"), "no two of her payouts overlap at the bank")
        self._alice_has(1000_00)
        self._done(f"the bank is back: all {CLICKS} are paid, one after the other, each exactly once at the bank")

    def _the_shop_counts(self) -> None:
        self._chapter("The shop closes")
        # Midnight may have passed since Bob paid.
        day = self._paid_at.astimezone(ZoneInfo(self._shop.profile["timezone"])).date()
        (inflow,) = self._shop.get(f"/inflow/daily?from={day}&to={day}")["items"]
        expect((inflow["amount"], inflow["count"]) == (300_00, 1), f"the inflow is ₹300 in one payment, not {inflow}")
        self._done(f"{day:%d %B}: ₹300.00 in one payment")

    def _deliver(self, body: bytes, secret: str) -> httpx.Response:
        headers = sign(secret, f"msg_{new_token()}", clock.now(), body) | {"content-type": "application/json"}
        url = f"{self._addresses.bank_webhook}/webhooks/{BANK.code}"
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, verify=tls_for(url)) as anyone:
            return anyone.post(url, content=body, headers=headers)

    def _alice_has(self, amount: int) -> None:
        has = self._alice.balance()["balance"] - self._start[self._alice.wallet_id]
        expect(has == amount, f"Alice has {Money(amount)}, not {Money(has)}")
