"""A real Chromium before every process of Batua. One stack serves all the journeys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.demo.actors import Holder, SimulatedBank
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from infra.screenshots.chromium import NAMES, find_chromium, launch
from tests.browser.visits import DESKTOP, PHONE, Screen, Visits

CHECKOUT = Path(__file__).parents[2]
FAILURES = CHECKOUT / "var" / "test-failures"
FAST = {
    "BATUA_BCRYPT_ROUNDS": "4",
    "BATUA_RATE_LIMITS__ENABLED": "false",
    "BATUA_WELCOME_BALANCE_PAISE": str(1000_00),
    "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": "0.7",
    "BATUA_WITHDRAWALS__LEASE_SECONDS": "2",
    "BATUA_WITHDRAWALS__RETRY_BASE_SECONDS": "0.1",
    "BATUA_WITHDRAWALS__RETRY_CAP_SECONDS": "1",
    "BATUA_WITHDRAWALS__NOT_FOUND_GRACE_SECONDS": "1.5",
    "BATUA_WITHDRAWALS__SWEEP_SECONDS": "0.5",
    "BATUA_ON_RAMPS__ENQUIRE_AFTER_SECONDS": "30",
}

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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Iterator[Stack]:
    """A whole running stack."""
    with Stack(tmp_path_factory.mktemp("stack"), free_port_base(), FAST) as running:
        yield running


# A module at a time: while Playwright is there an event loop runs in this thread, and other modules bring their own.
@pytest.fixture(scope="module")
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


@pytest.fixture
def bank(stack: Stack) -> Iterator[SimulatedBank]:
    """HDFC, behaving when the test begins and again when it is over."""
    api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
    simulated = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
    simulated.misbehave()
    yield simulated
    simulated.misbehave()
    simulated.close()


@pytest.fixture
def person(stack: Stack) -> Iterator[Callable[..., Holder]]:
    """Makes people who signed up and hold ₹1,000."""
    made: list[Holder] = []

    def sign_up(first_name: str = "Asha", last_name: str = "Rao") -> Holder:
        made.append(Holder(stack.url("user_app"), first_name=first_name, last_name=last_name))
        return made[-1]

    yield sign_up
    for holder in made:
        holder.close()


@pytest.fixture
def shop(stack: Stack) -> Iterator[Holder]:
    """A shop with nothing in it yet."""
    holder = Holder(stack.url("merchant_app"), business_name="Chai Point", category="food")
    yield holder
    holder.close()


@pytest.fixture
def asha(person: Callable[..., Holder]) -> Holder:
    """Somebody with ₹1,000."""
    return person()


@pytest.fixture
def prove(stack: Stack) -> Callable[[], None]:
    """Fails unless the books are right and agree with both banks."""

    def run() -> None:
        command = [sys.executable, "-m", "infra.cli.main", "prove"]
        proof = subprocess.run(
            command, cwd=CHECKOUT, env=stack.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert proof.returncode == 0, proof.stdout + proof.stderr

    return run
