"""What a shop does all day, and what reaches it from those who pay."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from infra.demo.actors import PIN, Holder, SimulatedBank
from shared.ids import new_token
from tests.support.browser.steps import follow_without_a_script, give_back, pay, shows_heading, withdraw
from tests.support.browser.visits import DESKTOP, PHONE, Screen, Visits
from tests.support.waiting import until_far_from_midnight


def test_a_shop_opens_and_prints_its_code(visits: Visits, screen: Screen) -> None:
    page = visits.open("merchant_app", screen=screen)
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Shop name").fill("Chai & Sons")
    page.get_by_label("Email").fill(f"shop-{new_token(8).lower().strip('-_')}@example.com")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_label("Choose a PIN").fill(PIN)
    page.get_by_role("button", name="Open my shop").click()
    shows_heading(page, "Chai & Sons")
    expect(page.get_by_role("heading", name="No payment yet")).to_be_visible()
    page.get_by_role("link", name="QR", exact=True).click()
    shows_heading(page, "Your QR code")
    code = page.get_by_role("img", name="QR code to pay Chai & Sons")
    expect(code).to_be_visible()
    expect(code).not_to_have_js_property("naturalWidth", 0)
    page.get_by_label("Ask for").fill("120")
    page.get_by_role("button", name="Make the code").click()
    expect(page.get_by_role("img", name="₹120")).to_be_visible()
    expect(page.get_by_role("link", name="/pay/")).to_be_visible()


def test_a_payment_arrives_before_the_eyes_of_the_shop(
    visits: Visits, shop: Holder, asha: Holder, screen: Screen
) -> None:
    until_far_from_midnight()
    page = visits.open("merchant_app", by=shop, screen=screen)
    page.goto("/")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    pay(shop, asha, 120, "Two chai")
    newest = page.get_by_role("region", name="Newest payments")
    expect(newest.get_by_role("listitem")).to_have_count(1)
    expect(newest).to_contain_text("Two chai")
    expect(page.get_by_role("region", name="Today")).to_contain_text("₹120.00")
    pay(shop, asha, 80)
    expect(newest.get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("region", name="Today")).to_contain_text("₹200.00")


@pytest.mark.parametrize(("screen", "javascript"), [(PHONE, True), (DESKTOP, False)], ids=["script", "no script"])
def test_a_shop_gives_a_part_of_a_payment_back(
    visits: Visits, shop: Holder, asha: Holder, screen: Screen, javascript: bool
) -> None:
    pay(shop, asha, 120)
    page = visits.open("merchant_app", by=shop, screen=screen, javascript=javascript)
    page.goto("/transactions")
    page.get_by_role("link", name="Asha Rao").click()
    page.get_by_role("link", name="Refund").click()
    shows_heading(page, "Refund Asha Rao")
    give_back(page, "120.01")
    expect(page.get_by_label("Amount to refund")).to_have_attribute("aria-invalid", "true")
    give_back(page, "20")
    expect(page.get_by_role("article")).to_contain_text("₹20.00 refunded")
    assert (shop.balance()["balance"], asha.balance()["balance"]) == (100_00, 900_00)


def test_reload_and_back_after_a_refund_never_give_back_again(
    visits: Visits, shop: Holder, asha: Holder, prove: Callable[[], None]
) -> None:
    paid = pay(shop, asha, 120)
    page = visits.open("merchant_app", by=shop)
    page.goto(f"/transactions/{paid['id']}/refund")
    give_back(page, "20")
    expect(page.get_by_role("article")).to_contain_text("₹20.00 refunded")
    page.reload()
    page.go_back()
    shows_heading(page, "Refund Asha Rao")
    page.go_forward()
    expect(page.get_by_role("article")).to_contain_text("₹20.00 refunded")
    assert (shop.balance()["balance"], asha.balance()["balance"]) == (100_00, 900_00)
    prove()


def test_a_shop_withdraws_without_a_script(
    visits: Visits, shop: Holder, asha: Holder, bank: SimulatedBank, screen: Screen
) -> None:
    pay(shop, asha, 500)
    page = visits.open("merchant_app", by=shop, screen=screen, javascript=False)
    withdraw(page, "400")
    follow_without_a_script(page)
    shows_heading(page, "Paid out")
    assert shop.balance() == {"balance": 100_00, "held": 0, "available": 100_00}


def test_the_name_of_who_paid_is_text_in_the_list_and_in_the_table(
    visits: Visits, shop: Holder, person: Callable[..., Holder]
) -> None:
    name = "<script>alert(1)</script>"
    mallory = person(name, "Rao")
    note = "=HYPERLINK(0)"
    pay(shop, mallory, 10, note)
    page = visits.open("merchant_app", by=shop)
    page.goto("/")
    expect(page.get_by_role("region", name="Newest payments")).to_contain_text(name)
    page.goto("/transactions")
    expect(page.get_by_role("main")).to_contain_text(name)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    cells = set(table[0].values())
    assert f"{name} Rao" in cells
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells), cells
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("article")).to_contain_text(f"Paid by {name} Rao")
    page.get_by_role("link", name="Refund").click()
    shows_heading(page, f"Refund {name} Rao")
