"""The dashboard of a shop: a range is chosen by links and by a form, also without a script, on every screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from infra.demo.actors import Holder
from tests.support.browser.barriers import SMALL, find_barriers_everywhere, is_wider_than_the_screen
from tests.support.browser.steps import pay
from tests.support.browser.visits import Visits

PRESETS = ["Today", "Yesterday", "7 days", "30 days", "This month", "Last month", "12 months"]


def test_every_range_fits_every_screen_and_keeps_nobody_out(visits: Visits, shop: Holder, asha: Holder) -> None:
    pay(shop, asha, 120, "Two chai")
    page = visits.open("merchant_app", by=shop, screen=SMALL)
    page.goto("/")
    for name in PRESETS:
        page.get_by_role("navigation", name="Range").get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True, level=2).last).to_be_visible()
        expect(page.locator('.pills [aria-current="true"]')).to_have_text(name)
        for summary in page.get_by_text("Show the numbers").all():
            summary.click()
        assert find_barriers_everywhere(page) == [], name


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_days_are_chosen_and_refused_in_the_form(visits: Visits, shop: Holder, asha: Holder, javascript: bool) -> None:
    pay(shop, asha, 120)
    page = visits.open("merchant_app", by=shop, screen=SMALL, javascript=javascript)
    page.goto("/")
    page.get_by_text("Other dates").click()
    page.get_by_label("From").fill("2025-03-31")
    page.get_by_label("Until").fill("2025-03-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("Until")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("This day is before From.")).to_be_visible()
    assert not is_wider_than_the_screen(page)
    page.get_by_label("From").fill("2025-03-01")
    page.get_by_label("Until").fill("2025-03-31")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("region", name="Your dates")).to_contain_text("1\u201331 Mar 2025")
    expect(page.get_by_role("region", name="Top customers")).to_contain_text("No payment in these days.")
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("region", name="Top customers")).to_contain_text("Asha Rao")
