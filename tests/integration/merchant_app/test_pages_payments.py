"""Pages of payments: found, shown, and refunded once however often the button is pressed."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.support.access_lines import access_lines, line_of
from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page


@pytest.fixture
def browser(shop: Signed) -> Browser:
    """The shop's."""
    return Browser(shop)


async def _paid(payer: Signed, shop: Signed, amount: int, note: str = "chai") -> str:
    """Where the shop finds the payment."""
    return f"/transactions/{(await payer.send(shop.wallet_id, amount, note=note)).json()['id']}"


async def _refund(browser: Browser, path: str, **typed: str) -> Page:
    page = await browser.open(f"{path}/refund")
    return await browser.submit(page.form(f"{path}/refund"), **{"pin": PIN, **typed})


async def test_a_payment_is_found_by_its_note(asha: Signed, shop: Signed, browser: Browser) -> None:
    await _paid(asha, shop, 20_00, note="masala dosa")
    await _paid(asha, shop, 30_00, note="filter coffee")
    everything = await browser.open("/transactions")
    assert "masala dosa" in everything.text
    found = await browser.submit(everything.form("/transactions"), q="COFFEE")
    assert "filter coffee" in found.text
    assert "masala dosa" not in found.text
    for address in ("transactions.csv?q=COFFEE&amp;bom=true", "transactions.xlsx?q=COFFEE&amp;totals=true"):
        assert f'href="/api/v1/{address}"' in found.answer.text
    assert "No match" in (await browser.open("/transactions?kind=refund")).text


async def test_older_payments_are_a_page_away(asha: Signed, shop: Signed, browser: Browser) -> None:
    for number in range(26):
        await _paid(asha, shop, 1_00, note=f"cup number {number:02d}")
    first = await browser.open("/transactions")
    assert "cup number 00" not in first.text
    older = first.answer.text.partition('rel="next" href="')[2].partition('"')[0]
    second = await browser.open(older.replace("&amp;", "&"))
    assert "cup number 00" in second.text
    assert "cup number 01" not in second.text


@pytest.mark.parametrize("query", ["since=nonsense", "cursor=!", "kind=x", "q=%00", "until=2026-02-30"])
async def test_a_filter_that_cannot_be_read_is_no_filter(
    asha: Signed, shop: Signed, browser: Browser, query: str
) -> None:
    await _paid(asha, shop, 20_00, note="samosa")
    page = await browser.open(f"/transactions?{query}")
    assert page.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert "samosa" in page.text


@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31"])
async def test_days_at_the_ends_of_the_calendar_are_days(
    asha: Signed, shop: Signed, browser: Browser, query: str
) -> None:
    await _paid(asha, shop, 20_00, note="samosa")
    assert "samosa" in (await browser.open(f"/transactions?{query}")).text


async def test_a_payment_is_refunded_in_parts_and_never_beyond(asha: Signed, shop: Signed, browser: Browser) -> None:
    path = await _paid(asha, shop, 200_00)
    done = await _refund(browser, path, amount="50", note="too much sugar")
    assert done.path == path
    assert "Refunded." in done.text
    assert "₹50.00 refunded" in done.text
    refused = await _refund(browser, path, amount="150.01")
    assert refused.status == httpx.codes.OK
    assert "This is more than the ₹150.00 that is left to refund." in refused.text
    assert refused.form(f"{path}/refund").fields["amount"] == "150.01"
    assert (await browser.open(f"{path}/refund")).form(f"{path}/refund").fields["amount"] == "150"
    assert "Refunded in full" in (await _refund(browser, path)).text
    assert "Nothing is left to refund" in (await browser.open(f"{path}/refund")).text
    assert ((await asha.wallet())["balance"], (await shop.wallet())["balance"]) == (1000_00, 0)


async def test_the_log_line_of_a_refund_names_its_transfer(asha: Signed, shop: Signed, browser: Browser) -> None:
    path = await _paid(asha, shop, 200_00)
    with access_lines() as lines:
        await _refund(browser, path, amount="50")
    (refund, _) = (await shop.get("/transactions")).json()["items"]
    assert line_of(lines, "POST", "/transactions/{transaction_id}/refund")["transfer_id"] == refund["id"]


async def test_reload_and_clicks_at_the_same_moment_refund_once(asha: Signed, shop: Signed, browser: Browser) -> None:
    path = await _paid(asha, shop, 200_00)
    form = (await browser.open(f"{path}/refund")).form(f"{path}/refund")
    answers = await asyncio.gather(*(browser.post(form, amount="50", pin=PIN) for _ in range(4)))
    answers.append(await browser.post(form, amount="50", pin=PIN))
    assert {answer.status_code for answer in answers} == {httpx.codes.SEE_OTHER}
    assert (await shop.wallet())["balance"] == 150_00


async def test_a_wrong_pin_keeps_the_form_and_the_money(asha: Signed, shop: Signed, browser: Browser) -> None:
    path = await _paid(asha, shop, 200_00)
    refused = await _refund(browser, path, amount="70.50", note="sorry", pin="9999")
    assert refused.status == httpx.codes.OK
    assert "4 tries left" in refused.text
    fields = refused.form(f"{path}/refund").fields
    assert (fields["amount"], fields["note"], fields["pin"]) == ("70.50", "sorry", "")
    assert (await shop.wallet())["balance"] == 200_00


async def test_what_is_not_in_the_wallet_is_not_refunded(asha: Signed, shop: Signed, browser: Browser) -> None:
    path = await _paid(asha, shop, 200_00)
    answer = await shop.post(
        "/withdrawals",
        bank="hdfc",
        account_number="123456781234",
        ifsc="HDFC0000001",
        account_holder="Chai",
        amount=150_00,
        pin=PIN,
    )
    assert answer.status_code == httpx.codes.ACCEPTED
    refused = await _refund(browser, path, amount="200")
    assert refused.status == httpx.codes.OK
    assert 'id="amount-error"' in refused.answer.text


async def test_only_the_shops_own_payments_are_shown_and_refunded(
    merchant_app: RunningApp, asha: Signed, shop: Signed, browser: Browser
) -> None:
    path = await _paid(asha, shop, 200_00)
    other = Browser(await merchant_app.shop("Nosy Stores"))
    for place in (path, f"{path}/refund", "/transactions/not-an-id"):
        assert (await other.open(place)).status == httpx.codes.NOT_FOUND
    form = (await browser.open(f"{path}/refund")).form(f"{path}/refund")
    assert (await other.submit(form, amount="1", pin=PIN)).status == httpx.codes.NOT_FOUND
    done = await _refund(browser, path, amount="1")
    refund = (await shop.get("/transactions")).json()["items"][0]
    assert refund["kind"] == "refund"
    assert (await browser.open(f"/transactions/{refund['id']}/refund")).status == httpx.codes.UNPROCESSABLE_ENTITY
    assert done.status == httpx.codes.OK
