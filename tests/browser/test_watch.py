"""What the browsers of these tests complain about is heard: a deaf ear would make every journey look good."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.stack import Stack
from tests.support.browser.barriers import find_barriers_everywhere
from tests.support.browser.visits import Visits
from tests.support.deadlines import patience

BARRED = """<html lang="en"><title>Barred</title><style>
@media (max-width: 330px) { div { width: 600px } }
@media (prefers-color-scheme: dark) { main { background: black; color: #222 } }
</style><main><h1>Barred</h1><div>Wide</div></main>"""


@pytest.fixture
def unwatched(chromium: Browser, stack: Stack) -> Iterator[Visits]:
    """Whose problems do not fail the test."""
    visits = Visits(chromium, stack)
    yield visits
    visits.close()


@pytest.fixture
def page(unwatched: Visits) -> Page:
    page = unwatched.open()
    page.goto("/sign-in")
    return page


def test_a_good_page_has_no_problems(unwatched: Visits, page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert unwatched.problems() == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('spilt milk')", "console error: spilt milk"),
        ("setTimeout(() => { throw new Error('broken cup') })", "uncaught: broken cup"),
        ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
        ("fetch('/there-is-no-such-page')", "answered 404: GET"),
        ("location.assign('http://127.0.0.1:9/')", "request elsewhere: GET http://127.0.0.1:9/"),
        ("fetch('http://127.0.0.1:9/').catch(() => {})", "Content Security Policy"),
    ],
)
def test_a_problem_is_heard(unwatched: Visits, page: Page, script: str, problem: str) -> None:
    page.evaluate(f"() => {{ {script} }}")
    ends_at = time.monotonic() + patience()
    while not any(problem in each for each in unwatched.problems()):
        assert time.monotonic() < ends_at, f"only heard {unwatched.problems()}"
        page.wait_for_timeout(50)  # listens meanwhile


def test_a_barrier_is_found_on_the_screen_that_has_it(unwatched: Visits) -> None:
    page = unwatched.open()
    page.set_content(BARRED)
    found = find_barriers_everywhere(page)
    assert found[:2] == ["320 wide, light: scrolls sideways", "320 wide, dark: scrolls sideways"]
    assert {each.partition(" ['")[0] for each in found[2:]} == {"1280 wide, dark: color-contrast:"}
    page.set_content(BARRED.replace("600px", "10px").replace("#222", "white"))
    assert find_barriers_everywhere(page) == []
