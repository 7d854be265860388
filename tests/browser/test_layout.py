"""Where things stand on the screen: nothing covers what one reads or types, at any width and height."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

from infra.demo.actors import Holder
from tests.support.browser.pages_to_visit import Scene, Spot
from tests.support.browser.steps import fill_in_payment, pay
from tests.support.browser.visits import DESKTOP, PHONE, App, Visits

SMALL_PHONES = [ViewportSize(width=320, height=640), ViewportSize(width=360, height=740), PHONE]
ZOOMED = ViewportSize(width=195, height=422)
"""A phone whose browser shows everything at 200 %."""
ON_ITS_SIDE = ViewportSize(width=640, height=400)
SCREENS = [*SMALL_PHONES, ZOOMED, ON_ITS_SIDE, DESKTOP]

# An element is seen if it, or something in it, is what the screen shows at its own middle.
_IS_SEEN = """(element) => {
  const box = element.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return top !== null && (element.contains(top) || top.contains(element));
}"""
_TEXT_BOXES = """(nav) => [...nav.querySelectorAll("a span")].map((label) => {
  const range = document.createRange();
  range.selectNodeContents(label);
  const { x, y, width, height } = range.getBoundingClientRect();
  return { x, y, width, height };
})"""


def size(screen: ViewportSize) -> str:
    return f"{screen['width']}x{screen['height']}"


def box(found: Locator) -> FloatRect:
    measured = found.bounding_box()
    assert measured is not None
    return measured


def overlap(first: FloatRect, second: FloatRect) -> bool:
    return (
        first["x"] < second["x"] + second["width"]
        and second["x"] < first["x"] + first["width"]
        and first["y"] < second["y"] + second["height"]
        and second["y"] < first["y"] + first["height"]
    )


def is_seen(found: Locator) -> bool:
    return bool(found.evaluate(_IS_SEEN))


@pytest.mark.parametrize("app", ["user_app", "merchant_app"])
def test_the_words_of_the_navigation_stand_apart(visits: Visits, scene: Scene, app: App) -> None:
    page = visits.open(app, by=scene.asha if app == "user_app" else scene.shop)
    page.goto("/")
    for screen in SCREENS:
        page.set_viewport_size(screen)
        found: list[FloatRect] = page.get_by_role("navigation", name="Main").evaluate(_TEXT_BOXES)
        boxes = [each for each in found if each["width"]]
        assert len(boxes) >= 4, size(screen)
        assert not any(overlap(first, second) for first, second in combinations(boxes, 2)), size(screen)
        assert all(each["x"] >= 0 and each["x"] + each["width"] <= screen["width"] for each in boxes), size(screen)


def test_every_action_of_the_purse_is_within_the_purse(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha)
    page.goto("/")
    purse = page.get_by_role("region", name="Your money")
    for screen, name in product(SCREENS, ("Send", "Add money", "Withdraw")):
        page.set_viewport_size(screen)
        around, action = box(purse), box(purse.get_by_role("link", name=name))
        assert action["x"] >= around["x"], size(screen)
        assert action["x"] + action["width"] <= around["x"] + around["width"], size(screen)
        words = purse.get_by_role("link", name=name)
        assert words.evaluate("(link) => link.scrollWidth <= link.clientWidth"), (name, size(screen))


def test_the_message_about_a_wrong_pin_is_seen(visits: Visits, asha: Holder, scene: Scene) -> None:
    page = visits.open(by=asha)
    pay(scene.bela, asha, 1)  # paid before, so the form itself asks for the PIN
    for left, screen in zip((4, 3, 2, 1), [*SMALL_PHONES, ON_ITS_SIDE], strict=True):
        page.set_viewport_size(screen)
        page.goto(f"/send?to={scene.bela.wallet_id}")
        fill_in_payment(page, rupees="10")
        page.get_by_label("Your PIN").fill("9999")
        page.get_by_role("button", name="Send now").click()
        expect(page.get_by_text(f"{left} tr")).to_be_visible()
        complaint = page.get_by_text("The PIN is not right")
        expect(page.get_by_label("Your PIN")).to_be_focused()
        assert is_seen(complaint), size(screen)


def test_nothing_covers_the_amount_that_is_typed(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha)
    places = ("/add-money", f"/send?to={scene.bela.wallet_id}", "/withdraw")
    for screen, path in product((ON_ITS_SIDE, ZOOMED), places):
        page.set_viewport_size(screen)
        page.goto(path)
        amount = page.get_by_label("Amount")
        amount.fill("250")
        assert is_seen(amount), (path, size(screen))


def headings_of(page: Page, paths: list[str]) -> set[float]:
    starts = set()
    for path in paths:
        page.goto(path)
        starts.add(box(page.get_by_role("heading", level=1))["x"])
    return starts


def test_every_heading_starts_at_the_same_place(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha, screen=DESKTOP)
    paths = ["/", "/add-money", "/send", "/withdraw", "/withdrawals", "/activity", "/pots", "/profile"]
    assert len(headings_of(page, paths)) == 1
    page = visits.open("merchant_app", by=scene.shop, screen=DESKTOP)
    assert len(headings_of(page, ["/", "/transactions", "/withdraw", "/withdrawals", "/profile"])) == 1


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=size)
def test_filters_make_room_for_what_they_found(visits: Visits, scene: Scene, screen: ViewportSize) -> None:
    page = visits.open(by=scene.asha, screen=screen)
    page.goto("/activity")
    page.get_by_text("Search and filter").click()
    page.get_by_label("Direction").select_option("Money in")
    page.get_by_label("From").fill("2020-01-31")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Money in · From 31 Jan 2020")).to_be_visible()
    expect(page.get_by_label("Direction")).to_be_hidden()
    assert is_seen(page.locator(".line").first)
    page.get_by_role("link", name="Clear").click()
    expect(page.get_by_text("From 31 Jan 2020")).to_have_count(0)


def test_a_printed_receipt_says_whose_it_is(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha, screen=DESKTOP)
    page.goto(scene.address(Spot("user_app", "asha", "/transfers/{paid}")))
    page.emulate_media(media="print")
    expect(page.locator(".brand")).to_be_visible()
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def ends_of(cells: Locator) -> list[float]:
    boxes = [box(each) for each in cells.all()]
    return [each["x"] + each["width"] for each in boxes]


def test_history_is_a_table_on_a_wide_screen_and_a_list_on_a_phone(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha, screen=DESKTOP)
    page.goto("/activity")
    headings, row = page.get_by_role("columnheader"), page.locator(".line").first
    expect(headings).to_have_text(["Transaction", "Note", "Time", "Amount", "Balance after it"])
    assert ends_of(row.locator("th, td")) == ends_of(headings)
    page.set_viewport_size(PHONE)
    amount, time = box(row.locator(".money")), box(row.get_by_role("time"))
    assert time["y"] >= amount["y"] + amount["height"] / 2, "below each other"
    expect(row.locator(".line-balance")).to_be_hidden()
    paths = [each.get_attribute("href") for each in page.locator(".line a").all()]
    assert len(paths) == len(set(paths)), "each once, whatever the screen"


def test_no_column_of_the_dashboard_is_left_empty(visits: Visits, scene: Scene) -> None:
    page = visits.open("merchant_app", by=scene.shop, screen=DESKTOP)
    page.goto("/")
    newest, customers = (box(page.get_by_role("region", name=name)) for name in ("Newest payments", "Top customers"))
    assert newest["x"] == customers["x"]
    assert newest["y"] < customers["y"]
