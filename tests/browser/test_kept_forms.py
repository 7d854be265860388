"""A refused form, and one that comes after its session, as a browser goes back to it and reloads it."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from infra.demo.actors import PIN, Holder
from tests.support.browser.barriers import find_barriers, is_wider_than_the_screen
from tests.support.browser.steps import fill_in_payment, shows_heading
from tests.support.browser.visits import Visits

SCRIPTS = pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])


def pay(page: Page, shop: Holder, rupees: str, pin: str) -> None:
    """Press the button of the form that pays."""
    page.goto(f"/pay/{shop.wallet_id}")
    fill_in_payment(page, rupees=rupees, note="Chai")
    page.get_by_label("Your PIN").fill(pin)
    page.get_by_role("button", name="Pay now").click()


def shows_what_was_typed(page: Page, rupees: str) -> None:
    """All but the PIN."""
    expect(page.get_by_label("Amount")).to_have_value(rupees)
    expect(page.get_by_label("Note")).to_have_value("Chai")
    expect(page.get_by_label("Your PIN")).to_have_value("")


@SCRIPTS
def test_back_and_reload_show_a_refused_form_and_never_ask_to_send_it_again(
    visits: Visits, asha: Holder, shop: Holder, *, javascript: bool
) -> None:
    page = visits.open(by=asha, javascript=javascript)
    pay(page, shop, "30", "9999")
    expect(page.locator("#pin-error")).to_contain_text("tries left")
    page.goto("/activity")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.go_back()
    page.reload()
    expect(page.locator("#pin-error")).to_contain_text("tries left")
    shows_what_was_typed(page, "30")
    assert "POST" not in sent
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, re.compile("Paid"))
    assert shop.balance()["balance"] == 30_00


@SCRIPTS
def test_a_form_after_its_session_is_back_after_signing_in(
    visits: Visits, asha: Holder, shop: Holder, *, javascript: bool
) -> None:
    page = visits.open(by=asha, javascript=javascript)
    page.goto(f"/pay/{shop.wallet_id}")
    fill_in_payment(page, rupees="40", note="Chai")
    page.get_by_label("Your PIN").fill(PIN)
    assert asha.request("POST", "/auth/logout").status_code == httpx.codes.NO_CONTENT
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, "Sign in")
    page.get_by_label("Email").fill(asha.profile["email"])
    page.get_by_label("Password").fill(asha.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was sent yet")
    shows_what_was_typed(page, "40")
    assert shop.balance()["balance"] == 0
    if javascript:
        assert not is_wider_than_the_screen(page)
        assert find_barriers(page) == []
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, re.compile("Paid"))
    assert shop.balance()["balance"] == 40_00
