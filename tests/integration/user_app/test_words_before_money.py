"""Without a script, too, a page says an amount in words before it moves, on every way money comes or leaves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page, PageForm
from tests.support.on_ramps import newest_on_ramp

WORDS = "Two hundred fifty rupees"


@dataclass(frozen=True)
class Way:
    """A page whose form moves money at once, and what is typed there beside the amount."""

    page: str
    action: str
    typed: dict[str, str]


async def _ways(asha: Signed, shop: Signed, friend: Signed) -> dict[str, tuple[Signed, Way]]:
    pot = (await asha.post("/accounts", name="Goa")).json()
    wallet = (await asha.wallet())["account_id"]
    paid = (await asha.send(shop.wallet_id, 400_00)).json()["id"]
    await asha.send(friend.wallet_id, 1_00)
    pin = {"pin": PIN}
    return {
        "friend": (asha, Way(f"/send?to={friend.wallet_id}", "/send", pin)),
        "shop": (asha, Way(f"/pay/{shop.wallet_id}", "/send", pin)),
        "pot": (asha, Way("/pots", "/pots/move", {"from_account": wallet, "to": pot["id"], **pin})),
        "refund": (shop, Way(f"/transactions/{paid}/refund", f"/transactions/{paid}/refund", pin)),
    }


async def _unscripted(browser: Browser, page: Page, action: str, **typed: str) -> Page:
    form = page.form(action)
    return await browser.submit(PageForm(form.method, action, form.fields | form.unscripted), **typed)


@pytest.mark.parametrize("name", ["friend", "shop", "pot", "refund"])
async def test_what_leaves_is_said_first_and_then_leaves_once(
    asha: Signed, shop: Signed, ravi: Signed, name: str
) -> None:
    signed, way = (await _ways(asha, shop, ravi))[name]
    browser, before = Browser(signed), (await signed.wallet())["balance"]
    first = await browser.open(way.page)
    said = await _unscripted(browser, first, way.action, amount="250", **way.typed)
    assert WORDS in said.text
    assert "Nothing has moved yet" in said.text
    assert "Correct the marked fields" not in said.text
    assert (await signed.wallet())["balance"] == before
    assert said.form(way.action).fields["idempotency_key"] == first.form(way.action).fields["idempotency_key"]
    changed = await _unscripted(browser, said, way.action, amount="150", **way.typed)
    assert "One hundred fifty rupees" in changed.text
    assert (await signed.wallet())["balance"] == before
    done = await _unscripted(browser, changed, way.action, amount="150.00", **way.typed)
    assert done.path.startswith(("/transfers/", "/transactions/"))
    assert (await signed.wallet())["balance"] == before - 150_00


async def test_what_an_address_asks_for_is_said_already(asha: Signed, shop: Signed) -> None:
    browser = Browser(asha)
    page = await browser.open(f"/pay/{shop.wallet_id}?amount=250")
    assert WORDS in page.text
    assert (await _unscripted(browser, page, "/send", pin=PIN)).path.startswith("/transfers/")
    too_much = await browser.open(f"/pay/{shop.wallet_id}?amount=1000")
    assert "Add the missing ₹250" in too_much.text


async def test_what_is_added_is_said_before_the_bank_is_asked(banked_app: RunningApp, meera: Signed) -> None:
    browser = Browser(meera)
    page = await browser.open("/add-money")
    said = await _unscripted(browser, page, "/add-money", amount="250", bank="hdfc")
    assert said.path == "/add-money"
    assert WORDS in said.text
    assert (await meera.get("/on-ramps")).json()["items"] == []
    form = said.form("/add-money")
    answer = await browser.post(form, amount="250", bank="hdfc", **form.unscripted)
    assert answer.headers["location"] == (await newest_on_ramp(banked_app, meera)).redirect_url
