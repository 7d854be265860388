"""Many tabs of one browser: they share one stream of events, so that none of them waits for a connection."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, Request, expect

from infra.demo.actors import Holder
from tests.support.browser.steps import pay
from tests.support.browser.visits import DESKTOP, Visits
from tests.support.deadlines import patience
from tests.support.waiting import until_far_from_midnight

MANY = 10
_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Streams:
    """The streams that the tabs of a browser have open."""

    def __init__(self, context: BrowserContext) -> None:
        self._open: set[Request] = set()
        context.on("request", self._began)
        context.on("requestfailed", self._ended)
        context.on("requestfinished", self._ended)

    def _began(self, request: Request) -> None:
        if request.resource_type == "eventsource":
            self._open.add(request)

    def _ended(self, request: Request) -> None:
        self._open.discard(request)

    def of(self, page: Page) -> bool:
        """Whether `page` has one."""
        return any(each.frame.page is page for each in self._open)

    @property
    def count(self) -> int:
        return len(self._open)


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + patience()
    while not holds():
        assert time.monotonic() < ends_at
        page.wait_for_timeout(50)


def shows(page: Page, rupees: str) -> None:
    expect(page.get_by_role("region", name="Today")).to_contain_text(rupees)


def test_ten_tabs_share_one_stream_and_all_of_them_hear(visits: Visits, shop: Holder, asha: Holder) -> None:
    until_far_from_midnight()
    first = visits.open("merchant_app", by=shop, screen=DESKTOP)
    streams = Streams(first.context)
    tabs = [first, *(first.context.new_page() for _ in range(MANY - 1))]
    for tab in tabs:
        tab.goto("/")
        expect(tab.get_by_text("Live", exact=True)).to_be_visible()
    assert streams.count == 1
    pay(shop, asha, 120)
    for tab in tabs:
        shows(tab, "₹120.00")

    listening = next(tab for tab in tabs if streams.of(tab))
    tabs.remove(listening)
    listening.close()
    wait_until(tabs[0], lambda: any(streams.of(tab) for tab in tabs))
    pay(shop, asha, 30)
    for tab in tabs:
        shows(tab, "₹150.00")


def test_a_hidden_tab_gives_its_stream_up_and_catches_up_when_it_is_seen_again(
    visits: Visits, shop: Holder, asha: Holder
) -> None:
    until_far_from_midnight()
    page = visits.open("merchant_app", by=shop, screen=DESKTOP)
    streams = Streams(page.context)
    page.goto("/")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate(_HIDE, True)
    wait_until(page, lambda: streams.count == 0)
    pay(shop, asha, 120)
    page.evaluate(_HIDE, False)
    shows(page, "₹120.00")
    wait_until(page, lambda: streams.count == 1)
