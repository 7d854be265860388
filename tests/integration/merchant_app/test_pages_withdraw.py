"""A shop withdraws on the same pages as a person."""

from __future__ import annotations

import pytest

from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page

ACCOUNT = {
    "bank": "axis",
    "account_number": "998877665544",
    "account_number_again": "9988 7766 5544",
    "ifsc": "UTIB0000001",
    "account_holder": "Chai Point",
}


@pytest.fixture
async def rich_shop(merchant_app: RunningApp) -> Signed:
    """Has taken in ₹5,000."""
    return await merchant_app.shop("Chai Point", balance=5000_00)


async def _withdraw(browser: Browser, amount: str, **more: str) -> Page:
    form = (await browser.open("/withdraw")).form("/withdraw")
    page = await browser.submit(form, **{**ACCOUNT, "amount": amount, **more})
    return await browser.submit(page.form("/withdraw/review"), pin=PIN) if page.path == "/withdraw/review" else page


async def test_a_shop_withdraws_and_follows_it_on_its_page(rich_shop: Signed) -> None:
    browser = Browser(rich_shop)
    assert "₹5,000.00 available" in (await browser.open("/withdraw")).text
    page = await _withdraw(browser, "1,200")
    assert "Next to be sent to Axis Bank" in page.text
    assert (await rich_shop.wallet())["held"] == 1200_00
    assert "•••• 5544" in (await browser.open("/withdrawals")).text


async def test_a_shop_cannot_withdraw_more_than_it_has(rich_shop: Signed) -> None:
    page = await _withdraw(Browser(rich_shop), "5000.01")
    assert page.status == 200
    assert "more than the ₹5,000.00 available" in page.text
    assert page.form("/withdraw").fields["account_number"] == "998877665544"


async def test_a_shop_cancels_what_is_still_queued(rich_shop: Signed) -> None:
    browser = Browser(rich_shop)
    page = await _withdraw(browser, "1200")
    assert "Nothing was sent" in (await browser.submit(page.form(f"{page.path}/cancel"))).text
    assert (await rich_shop.wallet())["available"] == 5000_00
