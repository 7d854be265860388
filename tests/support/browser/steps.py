"""What visitors do again and again."""

from __future__ import annotations

import re
import time
from typing import Any

from playwright.sync_api import Page, expect

from infra.demo.actors import PIN, Holder
from shared.ids import new_token
from tests.support.deadlines import patience

ACCOUNT = {
    "Account number": "50100012345678",
    "The same number again": "50100012345678",
    "IFSC": "HDFC0000123",
    "Account holder": "Asha Rao",
}


def shows_heading(page: Page, name: str | re.Pattern[str]) -> None:
    """Waits for it."""
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def sign_up(page: Page) -> None:
    """As Asha Rao, with a new address."""
    page.goto("/sign-up")
    page.get_by_label("First name").fill("Asha")
    page.get_by_label("Last name").fill("Rao")
    page.get_by_label("Email").fill(f"asha-{new_token(8).lower().strip('-_')}@example.com")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_label("Choose a PIN").fill(PIN)
    page.get_by_role("button", name="Create my wallet").click()
    shows_heading(page, "Namaste, Asha")


def say_in_words(page: Page, amount: str) -> None:
    """Without a script a form that moves money at once says the amount first; with one it has said it already."""
    button = page.get_by_role("button", name="Say it in words")
    if button.is_visible():
        button.click()
        expect(page.locator("[name=said]")).to_have_value(amount)


def ask_for_money(page: Page, rupees: str) -> None:
    """Up to the bank's own page."""
    page.goto("/add-money")
    page.get_by_label("Amount").fill(rupees)
    page.get_by_role("radio", name="HDFC").check()
    say_in_words(page, rupees)
    page.get_by_role("button", name="Continue to the bank").click()
    shows_heading(page, "Payment request")


def decide_at_the_bank(page: Page, decision: str) -> None:
    """`Approve` or `Decline`."""
    page.get_by_label("Customer ID").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name=decision).click()


def fill_in_payment(page: Page, *, rupees: str, note: str = "") -> None:
    """The form that sends and pays, without the PIN."""
    page.get_by_label("Amount").fill(rupees)
    page.get_by_label("Note").fill(note)
    say_in_words(page, rupees)


def confirm(page: Page, button: str, pin: str = PIN) -> None:
    """Go on to the page that asks whether it is right, and press its button with the PIN."""
    page.get_by_role("button", name="Continue").click()
    shows_heading(page, "Is this right?")
    page.get_by_label("Your PIN").fill(pin)
    page.get_by_role("button", name=button, exact=True).click()


def send(page: Page, to: Holder, rupees: str) -> None:
    """The first payment to someone: straight to the form, over its review, and on to the receipt."""
    page.goto(f"/send?to={to.wallet_id}")
    fill_in_payment(page, rupees=rupees)
    confirm(page, "Send now")
    shows_heading(page, "Sent")


def withdraw(page: Page, rupees: str) -> None:
    """Into the queue; ends on the page that follows it."""
    page.goto("/withdraw")
    page.get_by_label("Amount").fill(rupees)
    if page.get_by_role("radio", name="A new account").count():  # once there is an earlier one to choose
        page.get_by_role("radio", name="A new account").check()
    page.get_by_role("radio", name="HDFC Bank", exact=True).check()
    for label, typed in ACCOUNT.items():
        page.get_by_label(label).fill(typed)
    confirm(page, "Withdraw")
    page.wait_for_url(re.compile(r"/withdrawals/[0-9a-f-]{36}$"))


def follow_without_a_script(page: Page) -> None:
    """Refresh the page until there is nothing more to wait for."""
    again = page.get_by_role("link", name=re.compile("Refresh"))
    ends_at = time.monotonic() + patience()
    while again.is_visible():
        assert time.monotonic() < ends_at, "it takes too long"
        again.click()


def give_back(page: Page, rupees: str) -> None:
    """On the form that refunds."""
    page.get_by_label("Amount to refund").fill(rupees)
    say_in_words(page, rupees)
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Refund now").click()


def pay(shop: Holder, payer: Holder, rupees: int, note: str = "") -> dict[str, Any]:
    """Over the API, where the paying itself is not what is looked at."""
    body = {"to": shop.wallet_id, "amount": rupees * 100, "note": note or None, "pin": PIN}
    paid: dict[str, Any] = payer.post("/transfers", body, expect_status=201).json()
    return paid
