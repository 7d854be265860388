"""What holds for every page: it is accessible and light, and needs no scrolling sideways."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Request, expect

from infra.demo.actors import PIN
from tests.support.browser.barriers import find_barriers_everywhere
from tests.support.browser.pages_to_visit import SPOTS, Scene, Spot
from tests.support.browser.steps import fill_in_payment, shows_heading
from tests.support.browser.visits import DESKTOP, PHONE, Screen, Visits

MOST_BYTES = 60_000
EVERY_SCREEN = (PHONE, *(Screen(width=w, height=h) for w, h in ((320, 640), (360, 740), (640, 400))), DESKTOP)
_ONE_OF_EACH = Counter(document=1, stylesheet=1, script=1)


@pytest.fixture(params=SPOTS, ids=str)
def spot(request: pytest.FixtureRequest) -> Spot:
    chosen: Spot = request.param
    return chosen


def weigh(requests: list[Request]) -> int:
    """Bytes over the wire, with headers."""
    sizes = [each.sizes() for each in requests]
    return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)


def test_a_page_is_light_fits_the_screen_and_keeps_nobody_out(visits: Visits, scene: Scene, spot: Spot) -> None:
    page = visits.open(spot.app, by=scene.holder(spot), screen=PHONE)
    finished: list[Request] = []

    def note(request: Request) -> None:
        if not (request.resource_type == "fetch" and request.url == page.url):  # a live page asks for itself again
            finished.append(request)

    page.on("requestfinished", note)
    page.goto(scene.address(spot))
    expect(page.get_by_role("main")).to_be_visible()
    assert weigh(finished) <= MOST_BYTES
    files = Counter(each.resource_type for each in finished if each.resource_type in _ONE_OF_EACH)
    assert files <= _ONE_OF_EACH, [each.url for each in finished]
    assert find_barriers_everywhere(page, EVERY_SCREEN) == []


def test_everybody_can_use_a_form_that_was_refused(visits: Visits, scene: Scene) -> None:
    page = visits.open(by=scene.asha)
    page.goto(f"/send?to={scene.bela.wallet_id}")
    fill_in_payment(page, rupees="99,99,999")
    page.get_by_label("Your PIN").fill(PIN)
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_label("Amount")).to_have_attribute("aria-invalid", "true")
    shows_heading(page, "Send to Bela Iyer")
    assert find_barriers_everywhere(page, (PHONE, DESKTOP)) == []
