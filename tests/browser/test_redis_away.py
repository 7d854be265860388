"""Without Redis pages lose their liveness, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from infra.demo.actors import Holder, SimulatedBank
from infra.local.stack import Stack
from tests.browser.steps import ask_for_money, decide_at_the_bank, send, shows_heading
from tests.browser.visits import Visits


@pytest.fixture
def no_redis(stack: Stack) -> Iterator[None]:
    stack.stop_process("redis")
    yield
    stack.start_process("redis")


def test_pages_work_without_redis(
    visits: Visits,
    asha: Holder,
    shop: Holder,
    person: Callable[..., Holder],
    bank: SimulatedBank,
    no_redis: None,
) -> None:
    friend = person("Bela")
    page = visits.open(by=asha, without_redis=True)
    page.goto("/")
    shows_heading(page, "Namaste, Asha")
    send(page, friend, "10")
    ask_for_money(page, "500")
    decide_at_the_bank(page, "Approve")
    shows_heading(page, "Money added")
    counter = visits.open("merchant_app", by=shop, without_redis=True)
    counter.goto("/")
    shows_heading(counter, "Chai Point")
    expect(counter.get_by_text("Checking every 10 seconds")).to_be_visible()
    assert friend.balance()["balance"] == 1010_00
