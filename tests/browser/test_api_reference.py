"""Each app shows its API at /docs, with files of its own origin and no inline script."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser.visits import DESKTOP, App, Visits


@pytest.mark.parametrize("app", ["user_app", "merchant_app"])
def test_the_reference_lists_the_operations(visits: Visits, app: App) -> None:
    page = visits.open(app, screen=DESKTOP)
    page.goto("/docs")
    expect(page.get_by_text("/api/v1/auth/login").first).to_be_visible()
    page.get_by_text("/api/v1/auth/login").first.click()
    expect(page.get_by_text("Responses").first).to_be_visible()
