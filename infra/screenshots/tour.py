"""Visit the eight main pages as people of the sample data and take a picture of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from infra.demo.actors import SimulatedBank
from infra.local.layout import Layout
from infra.seed.cast import PASSWORD, PEOPLE, PIN, TEA_SHOP

SECONDS = 20.0
"""For one page."""
PHONE = ViewportSize(width=390, height=844)
TALL_PHONE = ViewportSize(width=390, height=1300)
"""High enough for a whole timeline."""
DESKTOP = ViewportSize(width=1280, height=800)


class Tour:
    """Takes pictures with `browser`. The bank is down while a withdrawal waits for it."""

    def __init__(self, browser: Browser, layout: Layout, bank: SimulatedBank, directory: Path) -> None:
        self._browser = browser
        self._layout = layout
        self._bank = bank
        self._directory = directory
        expect.set_options(timeout=SECONDS * 1000)

    def take(self) -> Iterator[Path]:
        """The file of each picture, when it is written."""
        self._directory.mkdir(parents=True, exist_ok=True)
        yield from self._person(self._sign_in("user_app", PEOPLE[0].email, PHONE))
        yield from self._shop(self._sign_in("merchant_app", TEA_SHOP.email, DESKTOP))

    def _person(self, page: Page) -> Iterator[Path]:
        yield self._picture(page, "home")
        page.goto("/send")
        page.get_by_role("combobox").press_sequentially("bil")
        page.get_by_role("option").first.click()
        page.get_by_label("Amount").fill("450")
        page.get_by_label("Note").fill("My half of dinner")
        yield self._picture(page, "send")
        if page.get_by_role("button", name="Continue").is_visible():  # a first payment is reviewed
            page.get_by_role("button", name="Continue").click()
        page.get_by_label("Your PIN").fill(PIN)
        page.get_by_role("button", name="Send now").click()
        expect(page.get_by_role("heading", name="Sent")).to_be_visible()
        yield self._picture(page, "receipt")
        yield from self._add_money(page)
        yield from self._withdraw(page)

    def _add_money(self, page: Page) -> Iterator[Path]:
        self._bank.misbehave(webhook_delay_ms=5000)
        page.goto("/add-money")
        page.get_by_label("Amount").fill("2,500")
        page.get_by_role("radio", name="HDFC").check()
        page.get_by_role("button", name="Continue to the bank").click()
        page.get_by_label("Customer ID").fill("demo")
        page.get_by_label("Password").fill("demo")
        page.set_viewport_size(DESKTOP)
        yield self._picture(page, "bank")
        page.set_viewport_size(PHONE)
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Waiting for")).to_be_visible()
        yield self._picture(page, "add-money")
        self._bank.misbehave()

    def _withdraw(self, page: Page) -> Iterator[Path]:
        self._bank.misbehave(down=True)
        page.goto("/withdraw")
        page.get_by_label("Amount").fill("1,200")
        if page.get_by_role("radio", name="A new account").count():  # once there is an earlier one to choose
            page.get_by_role("radio", name="A new account").check()
        page.get_by_role("radio", name="HDFC Bank", exact=True).check()
        page.get_by_label("Account number").fill("50100012345678")
        page.get_by_label("The same number again").fill("50100012345678")
        page.get_by_label("IFSC").fill("HDFC0000123")
        page.get_by_label("Account holder").fill(PEOPLE[0].name)
        page.get_by_role("button", name="Continue").click()
        page.get_by_label("Your PIN").fill(PIN)
        page.get_by_role("button", name="Withdraw", exact=True).click()
        expect(page.get_by_role("heading", name="Waiting for the bank")).to_be_visible()
        self._bank.misbehave()
        expect(page.get_by_role("heading", name="Paid out")).to_be_visible()
        page.set_viewport_size(TALL_PHONE)
        yield self._picture(page, "withdrawal")

    def _shop(self, page: Page) -> Iterator[Path]:
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        yield self._picture(page, "dashboard")
        page.goto("/qr")
        yield self._picture(page, "qr")

    def _sign_in(self, app: str, email: str, size: ViewportSize) -> Page:
        context = self._browser.new_context(
            base_url=self._layout.browser_url(app),
            viewport=size,
            locale="en-IN",
            timezone_id="Asia/Kolkata",
            reduced_motion="reduce",
        )
        context.set_default_timeout(SECONDS * 1000)
        page = context.new_page()
        page.goto("/sign-in")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        return page

    def _picture(self, page: Page, name: str) -> Path:
        file = self._directory / f"{name}.png"
        page.screenshot(path=file, animations="disabled", caret="hide")
        return file
