"""Sending money on pages: forms filled in, mistakes kept, nothing paid twice."""

from __future__ import annotations

import asyncio
import html
import re

import httpx
import pytest

from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's."""
    return Browser(asha)


async def _form_for(browser: Browser, friend: Signed) -> Page:
    return await browser.open(f"/send?to={friend.wallet_id}")


@pytest.fixture
async def ravi(asha: Signed, ravi: Signed) -> Signed:
    """Whom Asha has paid before, so that the form asks for the PIN itself. Both have what they had."""
    await asha.send(ravi.wallet_id, 1_00)
    await ravi.send(asha.wallet_id, 1_00)
    return ravi


async def test_a_friend_is_found_by_part_of_a_name_without_a_script(user_app: RunningApp, browser: Browser) -> None:
    friend = await user_app.person("Ravindranath", last_name="Kapoorwala")
    found = await browser.submit((await browser.open("/send")).form("/send"), to="kapoorw")
    assert f"/send?to={friend.wallet_id.replace('@', '%40')}" in found.answer.text
    form = await browser.open(f"/send?to={friend.wallet_id.upper()}")
    assert "Send to Ravindranath Kapoorwala" in form.text


async def test_the_list_below_the_search_field_holds_options(user_app: RunningApp, browser: Browser) -> None:
    friend = await user_app.person("Zubin", last_name="Contractorwala")
    page = await browser.open("/send/people?q=contractorw")
    assert f'data-value="{friend.wallet_id}"' in page.answer.text
    assert 'role="option"' in page.answer.text
    assert "html" not in page.tags
    assert "No match for" in (await browser.open("/send/people?q=%00")).text


async def test_money_is_sent_and_the_receipt_says_so(browser: Browser, asha: Signed, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    receipt = await browser.submit(form, amount="₹ 100.5", note=" chai ", pin=PIN)
    assert re.fullmatch(r"/transfers/[0-9a-f-]{36}", receipt.path)
    for words in ("Sent", "₹100 .50", "Ravi Rao", "chai", asha.wallet_id, ravi.wallet_id, "899.50"):
        assert words in receipt.text
    assert (await ravi.wallet())["balance"] == 100_50
    theirs = await Browser(ravi).open(receipt.path)
    assert "Received" in theirs.text
    assert "899.50" not in theirs.text


async def test_only_the_parties_see_a_receipt(user_app: RunningApp, browser: Browser, ravi: Signed) -> None:
    receipt = await browser.submit((await _form_for(browser, ravi)).form("/send"), amount="5", pin=PIN)
    stranger = Browser(await user_app.person("Meera"))
    assert (await stranger.open(receipt.path)).status == httpx.codes.NOT_FOUND
    assert (await stranger.open("/transfers/nonsense")).status == httpx.codes.NOT_FOUND


async def test_reload_and_back_lead_to_the_same_receipt(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    first = await browser.submit(form, amount="250", pin=PIN)
    again = await browser.submit(form, amount="250", pin=PIN)
    assert again.path == first.path
    assert (await ravi.wallet())["balance"] == 250_00


async def test_clicks_at_the_same_moment_pay_once_and_all_see_the_receipt(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    answers = await asyncio.gather(*(browser.post(form, amount="250", pin=PIN) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {httpx.codes.SEE_OTHER}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (await ravi.wallet())["balance"] == 250_00


async def test_back_and_another_amount_asks_before_it_pays_again(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    await browser.submit(form, amount="250", pin=PIN)
    refused = await browser.submit(form, amount="300", pin=PIN)
    assert "already done its work once" in refused.text
    assert (await ravi.wallet())["balance"] == 250_00
    anew = refused.form("/send")
    assert anew.fields["amount"] == "300"
    assert (await browser.submit(anew, pin=PIN)).path.startswith("/transfers/")
    assert (await ravi.wallet())["balance"] == 550_00


async def test_a_wrong_pin_says_how_many_tries_are_left_and_keeps_the_form(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    refused = await browser.submit(form, amount="1,234.50", note="rent", pin="9876")
    assert refused.status == httpx.codes.OK
    assert "4 tries left" in refused.text
    assert 'id="pin-error"' in refused.answer.text
    assert not re.search(r"(?<![\w-])9876(?![\w-])", refused.answer.text)  # in an id it may stand by chance
    kept = refused.form("/send")
    assert kept.fields | {"pin": ""} == form.fields | {"amount": "1,234.50", "note": "rent", "pin": ""}
    assert kept.fields["pin"] == ""
    done = await browser.submit(kept, amount="10", pin=PIN)
    assert done.path.startswith("/transfers/")


async def test_the_last_tries_are_counted_and_then_the_pin_is_locked(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    said = [(await browser.submit(form, amount="1", pin="9876")).text for _ in range(6)]
    assert "1 try left" in said[3]
    assert "0 tries" not in said[4]
    assert re.search(r"It is locked until \d{1,2}:\d\d [ap]m IST", said[4])
    assert re.search(r"Too many wrong PINs. Try again after \d{1,2}:\d\d [ap]m IST", said[5])
    assert "Too many wrong PINs" in (await browser.submit(form, amount="1", pin=PIN)).text
    assert (await ravi.wallet())["balance"] == 0


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("1,000.01", "more than the ₹1,000.00 available"),
        ("", "Fill this in"),
        ("lots", "Enter an amount such as 250"),
        ("-5", "Enter"),
        ("1e3", "Enter an amount such as 250"),
        ("0", "more than ₹0"),
        ("1.234", "Enter an amount such as 250"),
        ("99999999999999", "At most ₹1,00,00,000"),
        ("1,00,00,001", "At most ₹1,00,00,000"),
        ("12,50", "Did you mean ₹12.50?"),
        ("0,50", "Did you mean ₹0.50?"),
        ("5 0", "no spaces between the digits"),
        ("1₹2", "once, in front"),
    ],
)
async def test_an_amount_that_cannot_be_is_said_beside_it(
    browser: Browser, ravi: Signed, amount: str, words: str
) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    refused = await browser.submit(form, amount=amount, note="rent", pin=PIN)
    assert refused.status == httpx.codes.OK
    assert words in refused.text
    assert 'id="amount-error"' in refused.answer.text
    kept = refused.form("/send").fields
    assert (kept["amount"], kept["note"], kept["pin"], kept["to"]) == (amount, "rent", "", ravi.wallet_id)
    assert (await ravi.wallet())["balance"] == 0


async def test_an_unknown_wallet_id_leads_back_to_the_search(browser: Browser, ravi: Signed) -> None:
    form = (await _form_for(browser, ravi)).form("/send")
    form.fields["to"] = "nobody-by-that-name@batua"
    refused = await browser.submit(form, amount="1", pin=PIN)
    assert refused.status == httpx.codes.OK
    assert "Nobody has this wallet id" in refused.text
    assert refused.form("/send").fields["to"] == "nobody-by-that-name@batua"


async def test_a_payment_to_the_own_wallet_is_rejected(browser: Browser, asha: Signed) -> None:
    page = await browser.open(f"/send?to={asha.wallet_id}")
    assert "your own wallet" in page.text
    assert not any(each == "/send" for each in re.findall(r'action="([^"]+)"', page.answer.text))


async def test_names_with_markup_in_them_are_text(user_app: RunningApp, browser: Browser) -> None:
    friend = await user_app.person("<script>alert(1)</script>", last_name='"><img src=x>')
    review = await browser.submit(
        (await _form_for(browser, friend)).form("/send"), amount="5", note="<b onmouseover=x>hi</b>"
    )
    receipt = await browser.submit(review.form("/send/review"), pin=PIN)
    pages = [await _form_for(browser, friend), review, receipt, await browser.open("/send/people?q=script>alert")]
    pages += [await browser.open(path) for path in ("/", "/activity", "/send", "/send?to=script>alert")]
    pages.append(await Browser(friend).open("/profile"))
    for page in pages:
        assert page.status == httpx.codes.OK
        assert page.tags.count("script") <= 1
        assert not {"img", "b"} & set(page.tags)
        assert "<script>alert(1)</script>" in page.text


async def test_a_shops_link_opens_the_form_with_its_name_and_amount(browser: Browser, shop: Signed) -> None:
    page = await browser.open(f"/pay/{shop.wallet_id}?amount=120.50&note=Table+4")
    assert "Pay Chai Point" in page.text
    form = page.form("/send")
    assert (form.fields["amount"], form.fields["note"]) == ("120.50", "Table 4")
    receipt = await browser.submit(form, pin=PIN)
    assert "Paid" in receipt.text
    assert (await shop.wallet())["balance"] == 120_50


async def test_a_link_to_no_shop_is_not_found(browser: Browser) -> None:
    assert (await browser.open("/pay/no-such-shop@batua")).status == httpx.codes.NOT_FOUND
    assert (await browser.open("/pay/%00")).status == httpx.codes.NOT_FOUND


async def test_without_a_session_the_way_to_a_shop_leads_through_sign_in(
    user_app: RunningApp, asha: Signed, shop: Signed
) -> None:
    path = f"/pay/{shop.wallet_id}?amount=20"
    invitation = await user_app.client.get(path, headers={"Accept": "text/html"})
    [leads] = re.findall(r'href="(/sign-in[^"]+)"', invitation.text)
    sign_in = Page(await user_app.client.get(html.unescape(leads), headers={"Accept": "text/html"}))
    form = sign_in.form("/sign-in")
    answer = await Browser(asha).post(form, email=asha.profile["email"], password="correct horse")
    user_app.client.cookies.clear()
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert httpx.URL(answer.headers["location"]).params["amount"] == "20"
    assert httpx.URL(answer.headers["location"]).path == f"/pay/{shop.wallet_id}"


async def test_another_sites_form_sends_nothing(asha: Signed, ravi: Signed) -> None:
    answer = await asha.client.post(
        "/send",
        data={"to": ravi.wallet_id, "amount": "5", "pin": PIN},
        headers={"Accept": "text/html", "Sec-Fetch-Site": "cross-site", "Cookie": f"session={asha.token}"},
    )
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert (await ravi.wallet())["balance"] == 0
