"""People come first on a phone, and choices work without a script."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from infra.demo.actors import PIN, Holder
from infra.local.stack import Stack
from tests.support.browser.barriers import SMALL, is_wider_than_the_screen
from tests.support.browser.steps import pay
from tests.support.browser.visits import Visits


def test_a_keyboard_reaches_every_recent_person_and_the_page_stays_as_wide_as_the_screen(
    visits: Visits, asha: Holder, stack: Stack
) -> None:
    for name in ("Bela", "Charu", "Dev", "Esha", "Farid"):
        friend = Holder(stack.url("user_app"), first_name=name, last_name="Venkataraghavan")
        pay(friend, asha, 1)
        friend.close()
    page = visits.open(by=asha, screen=SMALL)
    page.goto("/")
    people = page.get_by_role("region", name="Send again").get_by_role("link")
    expect(people).to_have_count(5)
    assert not is_wider_than_the_screen(page)
    people.first.focus()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(people.last).to_be_focused()
    expect(people.last).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_the_fields_of_a_new_account_open_when_it_is_chosen(visits: Visits, asha: Holder, javascript: bool) -> None:
    account = {"bank": "hdfc", "account_number": "50100012345678", "ifsc": "HDFC0000123", "account_holder": "Asha Rao"}
    asha.post("/withdrawals", {**account, "amount": 10_00, "pin": PIN}, expect_status=202)
    page = visits.open(by=asha, screen=SMALL, javascript=javascript)
    page.goto("/withdraw")
    page.get_by_label("Amount").fill("10")
    expect(page.get_by_label("Account holder")).to_be_hidden()
    page.get_by_role("radio", name="A new account").check()
    expect(page.get_by_label("Account holder")).to_be_visible()
    page.get_by_role("radio", name="5678").check()
    expect(page.get_by_label("Account holder")).to_be_hidden()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("•••• 5678")).to_be_visible()
