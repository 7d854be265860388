"""Amounts as people see them while they type, when they are doubtful, and before they move."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from infra.demo.actors import PIN, Holder
from tests.support.browser.barriers import SMALL, find_barriers_everywhere
from tests.support.browser.steps import ACCOUNT, confirm, fill_in_payment, say_in_words, shows_heading
from tests.support.browser.visits import DESKTOP, Screen, Visits


def test_the_amount_is_said_in_words_while_it_is_typed(visits: Visits, asha: Holder, shop: Holder) -> None:
    page = visits.open(by=asha)
    page.goto(f"/pay/{shop.wallet_id}?amount=120")
    said = page.locator("[data-words-of=amount]")
    expect(said).to_have_text("One hundred twenty rupees")
    page.get_by_label("Amount").fill("1,20,000")
    expect(said).to_have_text("One lakh twenty thousand rupees")
    page.get_by_label("Amount").press("Backspace")
    expect(said).to_have_text("")
    page.get_by_label("Note").click()
    expect(said).to_contain_text("such as 250 or 250.50")
    page.get_by_role("button", name="₹500", exact=True).click()
    expect(said).to_have_text("Five hundred rupees")


@pytest.mark.parametrize(("screen", "javascript"), [(SMALL, True), (DESKTOP, False)], ids=["script", "no script"])
def test_a_comma_that_may_be_a_point_is_a_question_and_moves_nothing(
    *, visits: Visits, asha: Holder, shop: Holder, screen: Screen, javascript: bool
) -> None:
    page = visits.open(by=asha, screen=screen, javascript=javascript)
    page.goto(f"/pay/{shop.wallet_id}")
    fill_in_payment(page, rupees="12,50", note="Chai")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    expect(page.locator("#amount-error")).to_contain_text("Did you mean ₹12.50?")
    expect(page.get_by_label("Amount")).to_have_value("12,50")
    expect(page.get_by_label("Note")).to_have_value("Chai")
    assert shop.balance()["balance"] == 0
    if javascript:
        assert find_barriers_everywhere(page) == []
        page.get_by_role("button", name="Yes, ₹12.50").click()
        expect(page.locator("[data-words-of=amount]")).to_have_text("Twelve rupees and fifty paise")
    else:
        page.get_by_label("Amount").fill("12.50")
        say_in_words(page, "12.50")
        expect(page.locator("[data-words-of=amount]")).to_have_text("Twelve rupees and fifty paise")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Pay now").click()
    shows_heading(page, "Paid")
    assert shop.balance()["balance"] == 12_50


def test_a_first_payment_is_reviewed(visits: Visits, asha: Holder, person: Callable[..., Holder]) -> None:
    friend = person("Annapurna Lakshmi", "Venkataraghavan")
    page = visits.open(by=asha, screen=SMALL)
    page.goto(f"/send?to={friend.wallet_id}")
    fill_in_payment(page, rupees="987.65", note="My half of the dinner on Sunday, with the taxi home")
    page.get_by_role("button", name="Continue").click()
    shows_heading(page, "Is this right?")
    expect(page.get_by_role("region", name="What you send")).to_contain_text(
        "Nine hundred eighty-seven rupees and sixty-five paise"
    )
    assert find_barriers_everywhere(page) == []
    page.get_by_label("Your PIN").fill("9999")
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_text("4 tries left")).to_be_visible()
    assert find_barriers_everywhere(page) == []
    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("Amount")).to_have_value("987.65")
    page.get_by_label("Amount").fill("10")
    confirm(page, "Send now")
    shows_heading(page, "Sent")
    assert friend.balance()["balance"] == 1010_00


def test_a_withdrawal_is_reviewed(visits: Visits, asha: Holder) -> None:
    page = visits.open(by=asha, screen=SMALL)
    page.goto("/withdraw")
    page.get_by_label("Amount").fill("1,000")
    page.get_by_role("radio", name="Axis").check()
    for label, typed in (ACCOUNT | {"The same number again": "50100012345687"}).items():
        page.get_by_label(label).fill(typed)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#account_number_again-error")).to_contain_text("not the same")
    expect(page.locator("#ifsc-error")).to_contain_text("The codes of Axis Bank begin with UTIB0")
    assert find_barriers_everywhere(page) == []
    page.get_by_role("radio", name="HDFC").check()
    page.get_by_label("The same number again").fill(ACCOUNT["Account number"])
    page.get_by_role("button", name="Continue").click()
    shows_heading(page, "Is this right?")
    for words in ("One thousand rupees", "Asha Rao", "HDFC Bank", "5010 0012 3456 78"):
        expect(page.get_by_role("region", name="What you withdraw")).to_contain_text(words)
    assert find_barriers_everywhere(page) == []
    assert asha.balance()["held"] == 0
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Withdraw", exact=True).click()
    expect(page.get_by_role("article")).to_be_visible()
    assert asha.balance()["available"] == 0
