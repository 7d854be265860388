"""Without Redis pages lose nothing that one would notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from infra.demo.actors import Holder
from infra.local.stack import Stack
from tests.support.browser.steps import ask_for_money, decide_at_the_bank, pay, send, shows_heading
from tests.support.browser.visits import Visits


@pytest.fixture
def no_redis(stack: Stack) -> Iterator[None]:
    stack.stop_process("redis")
    yield
    stack.start_process("redis")


@pytest.mark.usefixtures("no_redis")
def test_pages_work_without_redis(visits: Visits, asha: Holder, person: Callable[..., Holder]) -> None:
    friend = person("Bela")
    page = visits.open(by=asha)
    page.goto("/")
    shows_heading(page, "Namaste, Asha")
    send(page, friend, "10")
    ask_for_money(page, "500")
    decide_at_the_bank(page, "Approve")
    shows_heading(page, "Money added")
    assert friend.balance()["balance"] == 1010_00


@pytest.mark.usefixtures("no_redis")
def test_payments_still_arrive_by_themselves_without_redis(visits: Visits, asha: Holder, shop: Holder) -> None:
    page = visits.open("merchant_app", by=shop)
    page.goto("/")
    pay(shop, asha, 120, "Two chai")
    expect(page.get_by_role("region", name="Newest payments")).to_contain_text("Two chai")
