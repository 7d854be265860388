"""What people come for, from the first page to the last."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from infra.demo.actors import PIN, Holder, SimulatedBank
from tests.support.browser.steps import (
    ask_for_money,
    confirm,
    decide_at_the_bank,
    fill_in_payment,
    follow_without_a_script,
    pay,
    send,
    shows_heading,
    sign_up,
    withdraw,
)
from tests.support.browser.visits import DESKTOP, PHONE, Screen, Visits

RARE_LETTERS = "jqwxz"
"""No other name in these tests has a piece of such letters, by which the search would find it first."""


def test_from_signing_up_to_the_first_receipt(
    visits: Visits, person: Callable[..., Holder], bank: SimulatedBank, screen: Screen
) -> None:
    rare = "".join(random.choices(RARE_LETTERS, k=6)).capitalize()
    friend = person(f"{rare}anya", "Iyer")
    bank.misbehave(webhook_delay_ms=60_000)
    page = visits.open(screen=screen)
    sign_up(page)

    page.get_by_role("region", name="Your money").get_by_role("link", name="Add money").click()
    ask_for_money(page, "2,500.50")
    session = page.url.rpartition("/")[2]
    decide_at_the_bank(page, "Approve")
    shows_heading(page, "Waiting for HDFC Bank")
    bank.send_now(session)
    shows_heading(page, "Money added")
    expect(page.get_by_text("You have ₹3,500.50 now")).to_be_visible()
    page.get_by_role("link", name="To your wallet").click()

    page.get_by_role("region", name="Your money").get_by_role("link", name="Send").click()
    page.get_by_role("combobox").press_sequentially(rare)
    page.get_by_role("option", name=f"{rare}anya Iyer").click()
    fill_in_payment(page, rupees="150", note="Chai & samosa")
    confirm(page, "Send now")
    shows_heading(page, "Sent")
    expect(page.get_by_role("article")).to_contain_text(f"to {rare}anya Iyer")
    expect(page.get_by_role("article")).to_contain_text("Chai & samosa")
    assert friend.balance()["balance"] == 1150_00


def test_two_withdrawals_wait_for_the_bank_and_finish_before_ones_eyes(
    visits: Visits, asha: Holder, bank: SimulatedBank, screen: Screen, prove: Callable[[], None]
) -> None:
    bank.misbehave(down=True)
    page = visits.open(by=asha, screen=screen)
    withdraw(page, "100")
    first = page.url
    withdraw(page, "200")
    expect(page.get_by_role("article")).to_contain_text("2 in your queue, 1 ahead of it")
    expect(page.get_by_role("article")).to_contain_text("once your withdrawals before it are through")
    page.goto(first)
    shows_heading(page, "Waiting for the bank")
    expect(page.get_by_role("article")).to_contain_text("First in your queue")
    expect(page.get_by_role("region", name="What happened").get_by_role("listitem").first).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("₹300.00 more is held for withdrawals")
    page.goto(first)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    bank.misbehave()
    shows_heading(page, "Paid out")
    expect(page.get_by_role("article")).to_contain_text("UTR")
    expect(page.get_by_text("Live", exact=True)).to_have_count(0)
    page.goto("/withdrawals")
    expect(page.get_by_role("main").get_by_text("Paid out")).to_have_count(2)
    assert asha.balance() == {"balance": 700_00, "held": 0, "available": 700_00}
    prove()


def test_a_shop_is_paid_from_the_link_its_code_opens(
    visits: Visits, asha: Holder, shop: Holder, screen: Screen
) -> None:
    page = visits.open(screen=screen)
    page.goto(f"/pay/{shop.wallet_id}?amount=120")
    shows_heading(page, "Pay Chai Point")
    expect(page.get_by_text("₹120.00")).to_be_visible()
    page.get_by_role("link", name="Sign in to pay").click()
    shows_heading(page, "Sign in")
    page.get_by_label("Email").fill(asha.profile["email"])
    page.get_by_label("Password").fill(asha.password)
    page.get_by_role("button", name="Sign in").click()
    shows_heading(page, "Pay Chai Point")
    expect(page.get_by_label("Amount")).to_have_value("120")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, "Paid")
    assert shop.balance()["balance"] == 120_00


def test_a_wrong_pin_says_how_many_tries_are_left_and_keeps_the_form(
    visits: Visits, asha: Holder, person: Callable[..., Holder], screen: Screen
) -> None:
    friend = person("Bela")
    page = visits.open(by=asha, screen=screen)
    pay(friend, asha, 1)  # paid before, so the form itself asks for the PIN
    page.goto(f"/send?to={friend.wallet_id}")
    for left in (4, 3):
        fill_in_payment(page, rupees="150.50", note="Chai")
        page.get_by_label("Your PIN").fill("9999")
        page.get_by_role("button", name="Send now").click()
        expect(page.get_by_text(f"{left} tries left")).to_be_visible()
        expect(page.get_by_label("Amount")).to_have_value("150.50")
        expect(page.get_by_label("Note")).to_have_value("Chai")
        expect(page.get_by_label("Your PIN")).to_have_value("")
        expect(page.get_by_label("Your PIN")).to_be_focused()
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Send now").click()
    shows_heading(page, "Sent")
    assert friend.balance()["balance"] == 1151_50


def test_declining_at_the_bank_adds_nothing_and_offers_another_try(
    visits: Visits, asha: Holder, screen: Screen
) -> None:
    page = visits.open(by=asha, screen=screen)
    ask_for_money(page, "500")
    decide_at_the_bank(page, "Decline")
    shows_heading(page, "No money added")
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_label("Amount")).to_have_value("500")
    assert asha.balance()["balance"] == 1000_00


@pytest.mark.parametrize(("screen", "javascript"), [(PHONE, True), (DESKTOP, False)], ids=["script", "no script"])
def test_leaving_the_bank_without_approving_promises_nothing_and_can_be_cancelled(
    visits: Visits, asha: Holder, screen: Screen, javascript: bool
) -> None:
    page = visits.open(by=asha, screen=screen, javascript=javascript)
    ask_for_money(page, "500")
    page.get_by_role("link", name="Go back to the shop without deciding").click()
    shows_heading(page, "Waiting for HDFC Bank")
    expect(page.get_by_role("article")).to_contain_text("it ends and nothing is taken")
    page.get_by_role("button", name="Cancel it").click()
    shows_heading(page, "Cancelled")
    expect(page.get_by_role("article")).to_contain_text("cannot be approved at HDFC Bank any more")
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_label("Amount")).to_have_value("500")
    assert asha.balance()["balance"] == 1000_00


def test_going_back_after_signing_out_shows_nothing_private(visits: Visits, asha: Holder, screen: Screen) -> None:
    page = visits.open(by=asha, screen=screen)
    page.goto("/profile")
    page.get_by_role("link", name="Activity").first.click()
    shows_heading(page, "Activity")
    page.get_by_role("link", name="Profile").first.click()
    page.get_by_role("button", name="Sign out on this device").click()
    shows_heading(page, "Sign in")
    for _ in range(2):
        page.go_back()
        shows_heading(page, "Sign in")
        expect(page.get_by_text(asha.wallet_id)).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_clicking_twice_pays_once(
    visits: Visits, asha: Holder, person: Callable[..., Holder], javascript: bool
) -> None:
    friend = person("Bela")
    page = visits.open(by=asha, javascript=javascript)
    page.goto(f"/send?to={friend.wallet_id}")
    fill_in_payment(page, rupees="10")
    page.get_by_role("button", name="Continue").dblclick(no_wait_after=True)
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Send now").dblclick(no_wait_after=True)
    shows_heading(page, "Sent")
    assert friend.balance()["balance"] == 1010_00


def test_reload_and_back_after_a_payment_never_pay_again(
    visits: Visits, asha: Holder, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    friend = person("Bela")
    page = visits.open(by=asha)
    send(page, friend, "10")
    receipt = page.url
    page.reload()
    shows_heading(page, "Sent")
    page.go_back()
    shows_heading(page, "Is this right?")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Send now").click()
    expect(page).to_have_url(receipt)
    page.go_back()
    page.go_back()
    shows_heading(page, re.compile("Send to"))
    assert friend.balance()["balance"] == 1010_00
    prove()


def test_the_same_form_in_two_tabs_pays_once(visits: Visits, asha: Holder, person: Callable[..., Holder]) -> None:
    friend = person("Bela")
    page = visits.open(by=asha, javascript=False)
    page.goto(f"/send?to={friend.wallet_id}")
    key = page.locator("[name=idempotency_key]").get_attribute("value")
    fill_in_payment(page, rupees="10")
    confirm(page, "Send now")
    shows_heading(page, "Sent")
    receipt = page.url
    again = page.context.request.post(
        "/send",
        form={"idempotency_key": str(key), "to": friend.wallet_id, "amount": "10", "note": "", "pin": PIN},
        headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )
    assert again.url == receipt
    assert friend.balance()["balance"] == 1010_00


def test_everything_that_matters_works_without_a_script(
    visits: Visits, person: Callable[..., Holder], screen: Screen
) -> None:
    friend = person("Bela")
    page = visits.open(screen=screen, javascript=False)
    sign_up(page)
    ask_for_money(page, "500")
    decide_at_the_bank(page, "Approve")
    follow_without_a_script(page)
    shows_heading(page, "Money added")
    page.goto("/send")
    page.get_by_role("textbox", name="Name or wallet id").fill(friend.wallet_id)
    page.get_by_role("button", name="Find").click()
    fill_in_payment(page, rupees="150", note="Lunch")
    confirm(page, "Send now")
    shows_heading(page, "Sent")
    withdraw(page, "100")
    follow_without_a_script(page)
    shows_heading(page, "Paid out")
    page.goto("/activity")
    expect(page.get_by_role("region", name="Transactions")).to_contain_text("Lunch")
    page.get_by_role("button", name="Sign out").first.click()
    shows_heading(page, "Sign in")
    assert friend.balance()["balance"] == 1150_00


def test_a_name_like_a_script_is_text_wherever_it_is_shown(
    visits: Visits, person: Callable[..., Holder], asha: Holder
) -> None:
    name = "<script>alert(1)</script>"
    mallory = person(name, "=cmd()")
    note = '"><img src=x onerror=alert(2)>'
    pay(asha, mallory, 10, note)
    page = visits.open(by=asha)
    page.goto("/")
    activity = page.get_by_role("region", name="Recent activity")
    expect(activity).to_contain_text(f"{name} =cmd()")
    activity.get_by_role("link", name=name).first.click()
    shows_heading(page, "Received")
    expect(page.get_by_role("article")).to_contain_text(note)
    page.goto("/activity")
    expect(page.get_by_role("region", name="Transactions")).to_contain_text(name)
    page.goto("/send")
    page.get_by_role("combobox").press_sequentially(name[:9])
    expect(page.get_by_role("option", name=name).first).to_be_visible()
    page.goto(f"/send?to={mallory.wallet_id}")
    shows_heading(page, f"Send to {name} =cmd()")
    own = visits.open(by=mallory, screen=PHONE)
    for path in ("/", "/profile"):
        own.goto(path)
        expect(own.get_by_role("main")).to_contain_text(name)
