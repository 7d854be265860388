"""Before a first payment to a person and before a withdrawal: a page that shows who gets how much. It loses no key."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from shared import clock
from shared.pages.sealed_forms import MAX_AGE_SECONDS
from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page

SEND, WITHDRAW = "/send/review", "/withdraw/review"
ACCOUNT = {
    "bank": "hdfc",
    "account_number": "50100012345678",
    "account_number_again": "5010 0012 345678",
    "ifsc": "HDFC0000123",
    "account_holder": "Asha Rao",
}


async def _review(browser: Browser, friend: Signed, **typed: str) -> Page:
    form = (await browser.open(f"/send?to={friend.wallet_id}")).form("/send")
    return await browser.submit(form, **typed)


async def test_a_first_payment_is_shown_in_words_before_it_is_made(browser: Browser, ravi: Signed) -> None:
    first = await browser.open(f"/send?to={ravi.wallet_id}")
    assert "pin" not in first.form("/send").fields
    review = await browser.submit(first.form("/send"), amount="₹ 450.50", note="My half of dinner")
    assert review.path == SEND
    for words in ("Ravi Rao", ravi.wallet_id, "₹450 .50", "Four hundred fifty rupees and fifty paise", "My half of"):
        assert words in review.text
    assert "₹549.50 is left after it" in review.text
    assert (await ravi.wallet())["balance"] == 0
    receipt = await browser.submit(review.form(SEND), pin=PIN)
    assert receipt.path.startswith("/transfers/")
    assert (await ravi.wallet())["balance"] == 450_50
    second = await browser.open(f"/send?to={ravi.wallet_id}")
    assert "pin" in second.form("/send").fields


async def test_a_shop_is_paid_without_a_review(browser: Browser, shop: Signed) -> None:
    page = await browser.open(f"/pay/{shop.wallet_id}?amount=120")
    assert "One hundred twenty rupees" in page.text
    assert (await browser.submit(page.form("/send"), pin=PIN)).path.startswith("/transfers/")


async def test_a_pin_sent_along_does_not_skip_the_review(browser: Browser, ravi: Signed) -> None:
    assert (await _review(browser, ravi, amount="10", pin=PIN)).path == SEND
    assert (await ravi.wallet())["balance"] == 0


async def test_clicks_at_once_reload_back_and_a_second_review_of_the_form_pay_once(
    browser: Browser, ravi: Signed
) -> None:
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    review, other = [await browser.submit(form, amount="10") for _ in range(2)]
    answers = await asyncio.gather(*(browser.post(page.form(SEND), pin=PIN) for page in (review, other, review)))
    assert {answer.status_code for answer in answers} == {httpx.codes.SEE_OTHER}
    back = await browser.open(f"{SEND}?{review.answer.url.query.decode()}")
    answers.append(await browser.post(back.form(SEND), pin=PIN))
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert (await ravi.wallet())["balance"] == 10_00


async def test_changing_the_amount_after_the_review_keeps_the_key(browser: Browser, ravi: Signed) -> None:
    review = await _review(browser, ravi, amount="10", note="chai")
    [change] = re.findall(r'href="(/send\?form=[^"]+)"', review.answer.text)
    changing = (await browser.open(change)).form("/send")
    assert (changing.fields["amount"], changing.fields["note"]) == ("10", "chai")
    changed = await browser.submit(changing, amount="20")
    await browser.submit(changed.form(SEND), pin=PIN)
    refused = await browser.submit(review.form(SEND), pin=PIN)
    assert "already done its work once" in refused.text
    assert (await ravi.wallet())["balance"] == 20_00


async def test_a_wrong_pin_keeps_the_review_and_its_key(browser: Browser, ravi: Signed) -> None:
    review = await _review(browser, ravi, amount="10")
    refused = await browser.submit(review.form(SEND), pin="9876")
    assert refused.path == SEND
    assert "4 tries left" in refused.text
    assert refused.form(SEND).fields["pin"] == ""
    receipts = [await browser.submit(page.form(SEND), pin=PIN) for page in (refused, review)]
    assert receipts[0].path.startswith("/transfers/")
    assert receipts[0].path == receipts[1].path


@pytest.mark.parametrize(
    ("amount", "words"), [("12,50", "Did you mean ₹12.50?"), ("1000.01", "more than the ₹1,000.00 available")]
)
async def test_what_cannot_be_sent_is_said_before_the_review(
    browser: Browser, ravi: Signed, amount: str, words: str
) -> None:
    refused = await _review(browser, ravi, amount=amount)
    assert words in refused.text
    assert refused.form("/send").fields["amount"] == amount


async def test_what_was_typed_is_sealed_for_this_session_this_purpose_and_fifteen_minutes(
    user_app: RunningApp, browser: Browser, ravi: Signed
) -> None:
    review = await _review(browser, ravi, amount="10", note="a surprise")
    sealed = review.form(SEND).fields["form"]
    assert "surprise" not in str(review.answer.url)
    stranger = await Browser(ravi).open(f"{SEND}?form={sealed}")
    assert stranger.status == httpx.codes.GONE
    assert "surprise" not in stranger.text
    for path in (f"{WITHDRAW}?form={sealed}", f"{SEND}?form={sealed[:-4]}AAAA", f"{SEND}?form=%C3%A9", SEND):
        assert (await browser.open(path)).status == httpx.codes.GONE
    later = clock.now() + timedelta(seconds=MAX_AGE_SECONDS + 2)
    with clock.reading(lambda: later):
        late = await browser.submit(review.form(SEND), pin=PIN)
    assert late.path == "/send"
    assert "Nothing was done now" in late.text
    assert (await ravi.wallet())["balance"] == 0


async def test_a_withdrawal_is_shown_before_it_is_requested(browser: Browser, asha: Signed) -> None:
    form = (await browser.open("/withdraw")).form("/withdraw")
    review = await browser.submit(form, amount="1,000", **ACCOUNT)
    for words in ("Asha Rao", "HDFC Bank", "HDFC0000123", "5010 0012 3456 78", "One thousand rupees"):
        assert words in review.text
    assert (await asha.wallet())["held"] == 0
    done = await browser.submit(review.form(WITHDRAW), pin=PIN)
    assert done.path.startswith("/withdrawals/")
    again = await browser.submit(review.form(WITHDRAW), pin=PIN)
    assert (again.path, (await asha.wallet())["held"]) == (done.path, 1000_00)


async def test_a_form_used_up_with_other_details_says_so_and_does_nothing(browser: Browser, asha: Signed) -> None:
    form = (await browser.open("/withdraw")).form("/withdraw")
    for amount in ("100", "200"):
        review = await browser.submit(form, amount=amount, **ACCOUNT)
        page = await browser.submit(review.form(WITHDRAW), pin=PIN)
    assert "already done its work" in page.text
    assert page.form("/withdraw").fields["idempotency_key"] != form.fields["idempotency_key"]
    assert (await asha.wallet())["held"] == 100_00


async def test_what_an_amount_field_holds_is_said_to_the_page_that_asks(user_app: RunningApp) -> None:
    async def said(typed: str) -> dict[str, str]:
        answer: dict[str, str] = (await user_app.client.get("/amount-in-words", params={"typed": typed})).json()
        return answer

    assert await said("12.50") == {"words": "Twelve rupees and fifty paise", "problem": ""}
    assert (await said("12,50"))["problem"].startswith("Did you mean ₹12.50?")
    assert "such as 250" in (await said("x" * 5000))["problem"]


async def test_an_amount_in_an_address_is_filled_in_plainly_or_asked_about(browser: Browser, shop: Signed) -> None:
    path = f"/pay/{shop.wallet_id}?amount="
    assert (await browser.open(f"{path}\u0967,\u0966\u0966\u0966")).form("/send").fields["amount"] == "1000"
    asked = await browser.open(f"{path}12,50")
    assert asked.form("/send").fields["amount"] == "12,50"
    assert "Did you mean ₹12.50?" in asked.text
