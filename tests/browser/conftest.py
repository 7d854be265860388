"""A real Chromium before every process of Batua. One stack serves all the journeys."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.local.stack import Stack
from infra.screenshots.chromium import NAMES, find_chromium, launch
from tests.support.browser.pages_to_visit import Scene
from tests.support.browser.visits import DESKTOP, PHONE, Screen, Visits
from tests.support.shared_stacks import shared_stack
from tests.support.whole_stack import FAST, asha, bank, person, prove, shop  # noqa: F401 - fixtures

CHECKOUT = Path(__file__).parents[2]
FAILURES = CHECKOUT / "var" / "test-failures"
SETTINGS = FAST | {"BATUA_ON_RAMPS__ENQUIRE_AFTER_SECONDS": "30"}

_visits = pytest.StashKey[Visits]()


@pytest.hookimpl(tryfirst=True)  # before xdist looks which tests belong together
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was on every screen when the test failed is kept, and the report says where."""
    report = yield
    visits = item.stash.get(_visits, None)
    if visits is not None and report.when == "call":
        problems = visits.problems()
        if report.passed and problems:
            report.outcome = "failed"
            report.longrepr = "The browser complained:\n" + "\n".join(problems)
        if report.failed:
            name = re.sub(r"[^\w.-]+", "-", item.nodeid.removeprefix("tests/browser/"))
            kept = visits.keep_for_inspection(FAILURES, name)
            report.sections.append(("Browser", "\n".join([*problems, *kept])))
    return report


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Stack:
    """A whole running stack."""
    return shared_stack("browser", SETTINGS, tmp_path_factory, free_port_base)


# For these tests only: while Playwright is there an event loop runs in this thread, and other tests bring their own.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The system's browser; without one these tests are left out, except where they must not be."""
    executable = find_chromium()
    if executable is None:
        reason = f"these tests need one of {', '.join(NAMES)} on the path"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def scene(stack: Stack) -> Iterator[Scene]:
    """Something on every page; tests only look at it, or add payments of others to it."""
    scene = Scene(stack)
    yield scene
    scene.close()


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def screen(request: pytest.FixtureRequest) -> Screen:
    """A phone, and a desktop."""
    chosen: Screen = request.param
    return chosen


@pytest.fixture
def visits(request: pytest.FixtureRequest, chromium: Browser, stack: Stack) -> Iterator[Visits]:
    """Opens browsers of their own for each who visits, and watches what they complain about."""
    visits = Visits(chromium, stack)
    request.node.stash[_visits] = visits
    yield visits
    visits.close()
