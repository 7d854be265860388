"""Every page there is, with something on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.demo.actors import PIN, Holder, SimulatedBank, wait_for
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from tests.support.browser.steps import pay
from tests.support.browser.visits import App
from tests.support.deadlines import patience


@dataclass(frozen=True)
class Spot:
    """One page: who looks at it, and where it is; `{}` in the path stands for something of the scene."""

    app: App
    by: Literal["visitor", "asha", "shop"]
    path: str

    def __str__(self) -> str:
        return f"{self.app}{self.path}"


_FOR_ANYBODY = (
    *(Spot("user_app", "visitor", path) for path in ("/sign-in", "/sign-up", "/pay/{shop}?amount=120")),
    Spot("merchant_app", "visitor", "/sign-up"),
    Spot("dummy_bank", "visitor", "{netbanking}"),
    Spot("dummy_bank", "visitor", "/"),
)
_FOR_PEOPLE = tuple(
    Spot("user_app", "asha", path)
    for path in (
        "/",
        "/add-money",
        "/on-ramps/{pending}",
        "/on-ramps/{added}",
        "/on-ramps/{declined}",
        "/on-ramps/{cancelled}",
        "/send",
        "/scan",
        "/send?to=Bela",
        "/send?to={friend}",
        "/pay/{shop}?amount=120",
        "/transfers/{paid}",
        "/withdraw",
        "/withdrawals",
        "/withdrawals/{withdrawal}",
        "/activity",
        "/activity?q=nothing+like+it",
        "/pots",
        "/pots/{pot}",
        "/profile",
        "/profile/pin",
        "/there-is-no-such-page",
    )
)
_FOR_SHOPS = tuple(
    Spot("merchant_app", "shop", path)
    for path in (
        "/",
        "/transactions",
        "/transactions/{paid}",
        "/transactions/{paid}/refund",
        "/qr",
        "/withdraw",
        "/withdrawals",
        "/profile",
    )
)
SPOTS = (*_FOR_ANYBODY, *_FOR_PEOPLE, *_FOR_SHOPS)


class Scene:
    """People, a shop and a bit of everything between them."""

    def __init__(self, stack: Stack) -> None:
        self.asha = Holder(stack.url("user_app"), first_name="Asha", last_name="Rao")
        self.bela = Holder(stack.url("user_app"), first_name="Bela", last_name="Iyer")
        self.shop = Holder(stack.url("merchant_app"), business_name="Chai Point", category="food")
        api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
        self._bank = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
        self._bank.misbehave()
        pending, added, declined, cancelled = (self._on_ramp(rupees) for rupees in (500, 2500, 700, 900))
        self._bank.approve(added["redirect_url"])
        self._bank.decline(declined["redirect_url"])
        self.asha.post(f"/on-ramps/{cancelled['id']}/cancel", {}, expect_status=200)
        for asked in (added, declined):
            self._until_settled(asked["id"])
        self._facts = {
            "netbanking": pending["redirect_url"],
            "pending": pending["id"],
            "added": added["id"],
            "declined": declined["id"],
            "cancelled": cancelled["id"],
            "friend": self.bela.wallet_id,
            "shop": self.shop.wallet_id,
            "paid": pay(self.shop, self.asha, 120, "Two chai")["id"],
            "withdrawal": self._withdrawal(),
            "pot": self.asha.post("/accounts", {"name": "Goa trip"}, expect_status=201).json()["id"],
        }
        pay(self.bela, self.asha, 250)

    def holder(self, spot: Spot) -> Holder | None:
        """Who is signed in there."""
        return {"visitor": None, "asha": self.asha, "shop": self.shop}[spot.by]

    def address(self, spot: Spot) -> str:
        """Where to go."""
        return spot.path.format_map(self._facts)

    def close(self) -> None:
        """End every session."""
        for each in (self.asha, self.bela, self.shop, self._bank):
            each.close()

    def _on_ramp(self, rupees: int) -> dict[str, str]:
        asked: dict[str, str] = self.asha.post(
            "/on-ramps", {"bank": "hdfc", "amount": rupees * 100}, expect_status=201
        ).json()
        return asked

    def _until_settled(self, on_ramp_id: str) -> None:
        wait_for(
            lambda: str(self.asha.get(f"/on-ramps/{on_ramp_id}")["status"]),
            lambda status: status != "pending",
            "the bank's notice arrives",
            seconds=patience(),
        )

    def _withdrawal(self) -> str:
        body = {
            "bank": "hdfc",
            "account_number": "50100012345678",
            "ifsc": "HDFC0000123",
            "account_holder": "Asha Rao",
            "amount": 100_00,
            "pin": PIN,
        }
        return str(self.asha.post("/withdrawals", body, expect_status=202).json()["id"])
