"""Adding and withdrawing money on pages: forms filled in, mistakes kept, nothing done twice or shown too early."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any, Literal, cast
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from shared.banks.notices import PayoutNotice
from shared.models import OnRamp, Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.on_ramps.settlement import settle
from shared.withdrawals import timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.kept_numbers import KeptNumber
from shared.withdrawals.notices import apply_payout_notice
from tests.support.apps import PIN, RunningApp, Signed
from tests.support.bank_notices import payment_notice
from tests.support.bank_settings import BANK_API_KEY
from tests.support.browsing import Browser, Page
from tests.support.number_keys import NUMBER_KEYS
from tests.support.on_ramps import newest_on_ramp

REVIEW = "/withdraw/review"
ACCOUNT = {
    "bank": "hdfc",
    "account_number": "1234 5678 1234",
    "account_number_again": "123456781234",
    "ifsc": " hdfc0000001 ",
    "account_holder": "Asha Rao",
}


@pytest.fixture
def at_home(meera: Signed) -> Browser:
    """Meera's."""
    return Browser(meera)


async def _misbehave(bank_url: str, **faults: Any) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"X-Api-Key": BANK_API_KEY}) as client:
        (await client.put(f"{bank_url}/hdfc/api/faults", json=faults)).raise_for_status()


async def _add_money(browser: Browser, amount: str = "2,500", **more: str) -> httpx.Response:
    form = (await browser.open("/add-money")).form("/add-money")
    return await browser.post(form, amount=amount, bank="hdfc", **more)


async def _count(app: RunningApp, model: type[OnRamp | Withdrawal], who: Signed) -> int:
    async with app.sessionmaker() as session:
        return (await session.scalars(select(func.count()).select_from(model).where(model.owner_id == who.id))).one()


async def test_adding_money_leads_to_the_banks_own_page(
    banked_app: RunningApp, meera: Signed, at_home: Browser, bank_url: str
) -> None:
    page = await at_home.open("/add-money")
    assert page.text.count("Open now") == 2
    answer = await _add_money(at_home)
    assert (answer.status_code, answer.headers["location"][: len(bank_url)]) == (303, bank_url)
    on_ramp = await newest_on_ramp(banked_app, meera)
    assert (on_ramp.amount, on_ramp.status, on_ramp.redirect_url) == (2500_00, "pending", answer.headers["location"])


async def test_the_policy_lets_the_form_end_at_the_bank_and_nowhere_else(at_home: Browser, bank_url: str) -> None:
    policy = (await at_home.open("/add-money")).answer.headers["content-security-policy"]
    assert f"form-action 'self' {bank_url};" in policy


async def test_clicks_at_once_reload_and_back_open_one_session(
    banked_app: RunningApp, meera: Signed, at_home: Browser
) -> None:
    form = (await at_home.open("/add-money")).form("/add-money")
    answers = await asyncio.gather(*(at_home.post(form, amount="100", bank="hdfc") for _ in range(4)))
    later = await at_home.post(form, amount="100", bank="hdfc")
    assert {answer.headers["location"] for answer in answers} == {later.headers["location"]}
    assert await _count(banked_app, OnRamp, meera) == 1


async def test_a_form_sent_again_after_the_payment_shows_what_became_of_it(
    banked_app: RunningApp, meera: Signed, at_home: Browser
) -> None:
    form = (await at_home.open("/add-money")).form("/add-money")
    await at_home.post(form, amount="100", bank="hdfc")
    on_ramp = await newest_on_ramp(banked_app, meera)
    async with banked_app.sessionmaker.begin() as session:
        await settle(session, payment_notice(on_ramp))
    again = await at_home.post(form, amount="100", bank="hdfc")
    assert again.headers["location"] == f"/on-ramps/{on_ramp.id}"


async def test_a_bank_that_is_down_is_shown_as_such_and_refuses_on_the_form(
    banked_app: RunningApp, meera: Signed, at_home: Browser, bank_url: str
) -> None:
    form = (await at_home.open("/add-money")).form("/add-money")
    await _misbehave(bank_url, down=True)
    refused = await at_home.submit(form, amount="321.5", bank="hdfc")
    assert refused.status == 200
    assert "cannot be reached right now; nothing was taken" in refused.text
    assert refused.form("/add-money").fields["amount"] == "321.5"
    assert (await meera.wallet())["balance"] == 0

    await _misbehave(bank_url)
    same_button = await at_home.post(refused.form("/add-money"), amount="321.5", bank="hdfc")
    assert same_button.headers["location"].startswith(bank_url)


async def test_an_amount_that_is_none_is_said_at_its_field_and_kept(at_home: Browser) -> None:
    page = await at_home.follow(await _add_money(at_home, "lots"))
    assert "Enter an amount such as 250" in page.text
    assert page.form("/add-money").fields["amount"] == "lots"
    assert 'aria-invalid="true" aria-describedby="amount-error"' in page.answer.text


async def test_coming_back_from_the_bank_proves_nothing(
    banked_app: RunningApp, meera: Signed, at_home: Browser
) -> None:
    await _add_money(at_home)
    on_ramp = await newest_on_ramp(banked_app, meera)
    page = await at_home.open(f"/on-ramps/{on_ramp.id}?status=success")
    assert "Waiting for HDFC Bank" in page.text
    assert "Go to HDFC Bank to approve" in page.text
    assert 'data-events="/api/v1/events"' in page.answer.text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page.answer.text
    assert (await meera.wallet())["balance"] == 0


async def test_the_page_turns_once_the_bank_has_said_so(
    banked_app: RunningApp, meera: Signed, at_home: Browser
) -> None:
    await _add_money(at_home)
    on_ramp = await newest_on_ramp(banked_app, meera)
    async with banked_app.sessionmaker.begin() as session:
        await settle(session, payment_notice(on_ramp))
    page = await at_home.open(f"/on-ramps/{on_ramp.id}")
    assert "Money added" in page.text
    assert "You have ₹2,500.00 now" in page.text
    assert "data-events" not in page.answer.text
    assert "http-equiv" not in page.answer.text


@pytest.mark.parametrize(
    ("reason", "words"), [("declined", "declined at HDFC Bank"), ("insufficient_funds", "not enough money")]
)
async def test_a_failure_says_why_and_offers_to_try_again(
    banked_app: RunningApp, meera: Signed, at_home: Browser, reason: str, words: str
) -> None:
    await _add_money(at_home, "2500.5")
    on_ramp = await newest_on_ramp(banked_app, meera)
    async with banked_app.sessionmaker.begin() as session:
        await settle(session, payment_notice(on_ramp, "failure", reason=reason))
    page = await at_home.open(f"/on-ramps/{on_ramp.id}")
    assert words in page.text
    [again] = re.findall(r'href="(/add-money\?[^"]+)"', page.answer.text)
    assert (await at_home.open(again.replace("&amp;", "&"))).form("/add-money").fields["amount"] == "2500.50"


async def test_an_on_ramp_of_another_person_is_not_found(
    banked_app: RunningApp, meera: Signed, at_home: Browser
) -> None:
    await _add_money(at_home)
    on_ramp = await newest_on_ramp(banked_app, meera)
    stranger = Browser(await banked_app.person("Ravi"))
    assert (await stranger.open(f"/on-ramps/{on_ramp.id}")).status == 404


@pytest.mark.parametrize("path", ["/add-money", "/withdraw", "/withdrawals"])
async def test_who_is_signed_out_is_asked_to_sign_in_and_led_back(user_app: RunningApp, path: str) -> None:
    answer = await user_app.client.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")


async def _review(browser: Browser, amount: str = "100", **more: str) -> Page:
    """Up to the page that asks whether it is right."""
    form = (await browser.open("/withdraw")).form("/withdraw")
    return await browser.submit(form, **{**ACCOUNT, "amount": amount, **more})


async def _withdraw(browser: Browser, amount: str = "100", *, pin: str = PIN, **more: str) -> Page:
    page = await _review(browser, amount, **more)
    return await browser.submit(page.form(REVIEW), pin=pin) if page.path == REVIEW else page


async def test_a_withdrawal_is_queued_and_followed_on_its_page(asha: Signed, browser: Browser) -> None:
    page = await _withdraw(browser, "100.50")
    assert re.fullmatch(r"/withdrawals/[0-9a-f-]{36}", page.path)
    for words in ("In your queue", "₹100 .50", "Next to be sent to HDFC Bank", "•••• 1234", "HDFC0000001", "IST"):
        assert words in page.text
    assert "123456781234" not in page.answer.text
    assert "1234 5678" not in page.answer.text
    assert 'data-events="/api/v1/events"' in page.answer.text
    assert (await asha.wallet())["held"] == 100_50


async def test_clicks_at_once_reload_and_back_withdraw_once(
    user_app: RunningApp, asha: Signed, browser: Browser
) -> None:
    form = (await _review(browser)).form(REVIEW)
    answers = await asyncio.gather(*(browser.post(form, pin=PIN) for _ in range(4)))
    later = await browser.post(form, pin=PIN)
    assert {answer.headers["location"] for answer in answers} == {later.headers["location"]}
    assert await _count(user_app, Withdrawal, asha) == 1


async def test_a_wrong_pin_says_how_many_tries_are_left_and_keeps_the_rest(asha: Signed, browser: Browser) -> None:
    page = await _withdraw(browser, "100", pin="0000")
    assert page.status == 200
    assert "tries left" in page.text
    assert page.form(REVIEW).fields["pin"] == ""
    [change] = re.findall(r'href="(/withdraw\?form=[^"]+)"', page.answer.text)
    changing = await browser.open(change)
    kept = changing.form("/withdraw").fields
    assert (kept["amount"], kept["account_number"]) == ("100", "1234 5678 1234")
    assert 'name="bank" value="hdfc" required checked' in changing.answer.text
    assert (await asha.wallet())["held"] == 0


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("account_number", "12 34", "6 to 18 digits"),
        ("account_number_again", "123456781235", "not the same"),
        ("ifsc", "HDFC1", "looks like HDFC0000001"),
        ("ifsc", "UTIB0000001", "The codes of HDFC Bank begin with HDFC0"),
        ("account_holder", "", "Fill this in"),
        ("bank", "sbi", "Choose one of these banks"),
        ("amount", "0", "more than ₹0"),
        ("amount", "1000.01", "more than the ₹1,000.00 available"),
    ],
)
async def test_each_mistake_is_said_at_its_field(browser: Browser, field: str, typed: str, words: str) -> None:
    page = await _withdraw(browser, **{field: typed})
    assert page.status == 200
    assert words in page.text
    assert f'id="{field}-error"' in page.answer.text


async def test_one_waits_behind_the_other_and_says_so(browser: Browser) -> None:
    await _withdraw(browser, "100")
    second = await _withdraw(browser, "200")
    assert "once your withdrawals before it are through" in second.text
    assert "2 in your queue, 1 ahead of it" in second.text
    listed = await browser.open("/withdrawals")
    assert listed.text.index("2 in your queue") < listed.text.rindex("In your queue")


async def test_a_queued_one_can_be_cancelled_and_the_money_is_back(asha: Signed, browser: Browser) -> None:
    page = await _withdraw(browser)
    form = page.form(f"{page.path}/cancel")
    cancelled = await browser.submit(form)
    assert (cancelled.path, "Nothing was sent" in cancelled.text) == (page.path, True)
    assert (await browser.submit(form)).path == page.path
    assert (await asha.wallet())["available"] == 1000_00


async def _stands_at(app: RunningApp, page: Page, status: str, kind: str, **facts: Any) -> UUID:
    """As if the worker had brought it there."""
    withdrawal_id = UUID(page.path.rsplit("/", 1)[1])
    async with app.sessionmaker.begin() as session:
        await session.execute(update(Withdrawal).where(Withdrawal.id == withdrawal_id).values(status=status))
        await timeline.append(
            session,
            withdrawal_id,
            status=WithdrawalStatus(status),
            kind=EventKind(kind),
            facts=cast(EventFacts, facts),
        )
    return withdrawal_id


async def test_too_late_to_cancel_is_said_on_its_page(user_app: RunningApp, browser: Browser) -> None:
    page = await _withdraw(browser)
    form = page.form(f"{page.path}/cancel")
    await _stands_at(user_app, page, "in_flight", "sending")
    late = await browser.submit(form)
    assert late.status == 200
    assert "cannot be cancelled any more" in late.text
    assert "being sent to HDFC Bank now" in late.text
    assert f'action="{page.path}/cancel"' not in late.answer.text


async def test_a_slow_bank_is_told_in_words_with_the_next_check_in_indian_time(
    user_app: RunningApp, browser: Browser
) -> None:
    page = await _withdraw(browser)
    await _stands_at(user_app, page, "waiting", "bank_down", next_check_at=datetime(2026, 11, 20, 8, 35, tzinfo=UTC))
    shown = await browser.open(page.path)
    assert "HDFC Bank cannot be reached, so nothing has been sent yet" in shown.text
    assert "Next check 2:05 pm" in shown.text


async def test_a_long_story_is_folded(user_app: RunningApp, browser: Browser) -> None:
    page = await _withdraw(browser)
    for _ in range(8):
        await _stands_at(user_app, page, "unknown", "no_answer")
    assert "3 earlier steps" in (await browser.open(page.path)).text


@pytest.mark.parametrize(
    ("event", "reason", "words"),
    [
        ("success", None, ("Paid out", "paid it into the account", "UTR HDFCN26324000001")),
        ("failure", "ACCOUNT_CLOSED", ("would not pay it out: account closed", "available again")),
        ("reversed", "NAME_MISMATCH", ("Sent back by the bank", "name mismatch", "in your wallet again")),
    ],
)
async def test_what_has_ended_says_how_and_waits_for_nothing(
    user_app: RunningApp,
    browser: Browser,
    event: Literal["success", "failure", "reversed"],
    reason: str | None,
    words: tuple[str, ...],
) -> None:
    page = await _withdraw(browser)
    withdrawal_id = await _stands_at(user_app, page, "unknown", "processing")
    utr = None if event == "failure" else "HDFCN26324000001"
    async with user_app.sessionmaker.begin() as session:
        notice = PayoutNotice("hdfc", event, str(withdrawal_id), utr, 100_00, reason)
        assert (await apply_payout_notice(session, notice)).verdict == "settled"
    shown = await browser.open(page.path)
    for each in words:
        assert each in shown.text
    assert "data-events" not in shown.answer.text
    assert "http-equiv" not in shown.answer.text
    assert f"/withdraw?again={withdrawal_id}" in shown.answer.text


async def test_an_account_used_before_is_offered_without_its_number(
    user_app: RunningApp, asha: Signed, browser: Browser
) -> None:
    first = await _withdraw(browser)
    page = await browser.open("/withdraw")
    [again, new] = re.findall(r'name="again" value="([^"]*)"', page.answer.text)
    assert (again, new) == (first.path.rsplit("/", 1)[1], "")
    review = await browser.submit(page.form("/withdraw"), amount="50", again=again)
    assert "•••• 1234" in review.text
    assert "123456781234" not in review.answer.text
    wrong = await browser.submit(review.form(REVIEW), pin="0000")
    done = await browser.submit(wrong.form(REVIEW), pin=PIN)
    assert "•••• 1234" in done.text
    async with user_app.sessionmaker() as session:
        withdrawals = (await session.scalars(select(Withdrawal).where(Withdrawal.owner_id == asha.id))).all()
    assert [KeptNumber.of(each).whole(NUMBER_KEYS) for each in withdrawals] == ["123456781234"] * 2


async def test_the_account_of_another_person_cannot_be_used(
    user_app: RunningApp, browser: Browser, ravi: Signed
) -> None:
    theirs = (await _withdraw(browser)).path.rsplit("/", 1)[1]
    stranger = Browser(ravi)
    assert (await stranger.open(f"/withdraw?again={theirs}")).status == 404
    form = (await stranger.open("/withdraw")).form("/withdraw")
    refused = await stranger.submit(form, amount="1", again=theirs)
    assert refused.path == "/withdraw"
    assert "1234" not in refused.text
    assert await _count(user_app, Withdrawal, ravi) == 0


async def test_a_withdrawal_of_another_person_is_not_found(browser: Browser, ravi: Signed) -> None:
    page = await _withdraw(browser)
    stranger = Browser(ravi)
    assert (await stranger.open(page.path)).status == 404
    assert (await stranger.submit(page.form(f"{page.path}/cancel"))).status == 404
    assert "Nothing withdrawn yet" in (await stranger.open("/withdrawals")).text


async def test_hostile_names_come_out_as_text(browser: Browser) -> None:
    page = await _withdraw(browser, account_holder="<script>alert(1)</script>")
    assert "<script>alert" not in page.answer.text
    assert "<script>alert(1)</script>" in page.text
    assert "<script>alert" not in (await browser.open("/withdraw")).answer.text
