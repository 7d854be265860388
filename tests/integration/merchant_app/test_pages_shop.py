"""A shop describes itself: signing up, its profile, its poster."""

from __future__ import annotations

import httpx
import pytest

from tests.support.apps import PASSWORD, PIN, RunningApp, Signed
from tests.support.browsing import Browser


@pytest.fixture
def browser(shop: Signed) -> Browser:
    """The shop's."""
    return Browser(shop)


async def test_details_and_time_zone_are_changed_on_the_profile(shop: Signed, browser: Browser) -> None:
    form = (await browser.open("/profile")).form("/profile")
    assert form.fields["timezone"] == "Asia/Kolkata"
    saved = await browser.submit(form, business_name="Chai & Co", category="Groceries", timezone="Asia/Dubai")
    assert "Your shop is saved." in saved.text
    assert saved.form("/profile").fields == {
        "business_name": "Chai & Co",
        "category": "Groceries",
        "timezone": "Asia/Dubai",
    }
    assert (await shop.get("/inflow/summary")).json()["timezone"] == "Asia/Dubai"
    assert "Asia/Dubai" in (await browser.open("/")).text
    cleared = await browser.submit(saved.form("/profile"), category="")
    assert cleared.form("/profile").fields["category"] == ""


async def test_a_zone_that_is_not_on_the_list_stays_chosen(merchant_app: RunningApp) -> None:
    browser = Browser(await merchant_app.shop(timezone="Pacific/Kiritimati"))
    assert (await browser.open("/profile")).form("/profile").fields["timezone"] == "Pacific/Kiritimati"


@pytest.mark.parametrize(("field", "typed"), [("business_name", " "), ("timezone", "Mars/Olympus")])
async def test_what_cannot_be_is_said_beside_its_field(browser: Browser, field: str, typed: str) -> None:
    form = (await browser.open("/profile")).form("/profile")
    refused = await browser.submit(form, **{"category": "Health", field: typed})
    assert refused.status == httpx.codes.OK
    assert f'id="{field}-error"' in refused.answer.text
    assert refused.form("/profile").fields["category"] == "Health"


async def test_a_new_pin_needs_the_password(asha: Signed, shop: Signed, browser: Browser) -> None:
    form = (await browser.open("/profile/pin")).form("/profile/pin")
    refused = await browser.submit(form, current_password="wrong horse", new_pin="8256")
    assert 'id="current_password-error"' in refused.answer.text
    assert "wrong horse" not in refused.answer.text
    assert "Your PIN is changed." in (await browser.submit(form, current_password=PASSWORD, new_pin="8256")).text
    await asha.send(shop.wallet_id, 5_00)
    path = f"/transactions/{(await shop.get('/transactions')).json()['items'][0]['id']}/refund"
    refund = (await browser.open(path)).form(path)
    assert "4 tries left" in (await browser.submit(refund, pin=PIN)).text
    assert "Refunded." in (await browser.submit(refund, pin="8256")).text


async def test_the_poster_shows_the_code_the_api_draws(shop: Signed, browser: Browser) -> None:
    page = await browser.open("/qr")
    assert 'src="/api/v1/qr.svg"' in page.answer.text
    asked = await browser.submit(page.form("/qr"), amount="1,250.5")
    assert 'src="/api/v1/qr.svg?amount=125050"' in asked.answer.text
    assert "Scan to pay ₹1,250.50" in asked.text
    refused = await browser.submit(page.form("/qr"), amount="lots")
    assert refused.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert 'src="/api/v1/qr.svg"' in refused.answer.text


async def test_a_page_without_a_session_asks_to_sign_in(merchant_app: RunningApp) -> None:
    for path in ("/", "/transactions", "/qr", "/profile", "/profile/pin", "/transactions?kind=refund"):
        answer = await merchant_app.client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == httpx.codes.SEE_OTHER
        assert answer.headers["location"].startswith("/sign-in")
