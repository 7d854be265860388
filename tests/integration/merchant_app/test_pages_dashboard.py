"""The dashboard: what its words, charts and tables say is what the API says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest

from shared import clock
from shared.ids import new_id
from shared.ledger.accounts import wallet_of
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.pages.formatting import rupees
from tests.support.apps import RunningApp, Signed
from tests.support.browsing import Browser

NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
"""In India."""
ROW = re.compile(r'<tr><th scope="row">(.*?)</th><td class="number">(.*?)</td><td class="number">(.*?)</td></tr>')


@pytest.fixture
def at_noon() -> Iterator[None]:
    with clock.reading(lambda: NOON):
        yield


async def _pay(app: RunningApp, payer: Signed, shop: Signed, amount: int, *, ago: timedelta) -> None:
    """A payment of back then."""
    async with app.sessionmaker.begin() as session:
        wallets = [(await wallet_of(session, each.id)).id for each in (payer, shop)]
        with clock.reading(lambda: NOON - ago):
            await post_one(session, Transfer(new_id(), "payment", wallets[0], wallets[1], amount))


def _table(html: str, name: str) -> list[tuple[str, str, str]]:
    """The rows of one of the tables, the newest first."""
    body = html.partition(f'<table id="{name}"')[2].partition("</table>")[0]
    return [(unescape(row[0]), row[1], row[2]) for row in ROW.findall(body)]


@pytest.mark.usefixtures("at_noon")
async def test_tables_and_charts_say_what_the_api_says(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    for days, amount in ((0, 40_00), (0, 25_50), (1, 100_00), (29, 7_00), (30, 9_00), (200, 3_00), (364, 1_00)):
        await _pay(merchant_app, asha, shop, amount, ago=timedelta(days=days))
    page = await Browser(shop).open("/")
    daily = (await shop.get("/inflow/daily")).json()["items"]
    monthly = (await shop.get("/inflow/monthly")).json()["items"]
    for name, items in (("days", daily), ("months", monthly)):
        rows = _table(page.answer.text, name)
        told = [(str(each["count"]), rupees(each["amount"])) for each in reversed(items)]
        assert [row[1:] for row in rows] == told
        chart = page.answer.text.partition(f'id="{name}-chart"')[2].partition("</svg>")[0]
        assert chart.count("<rect") == len(items)
        titles = re.findall(r"<title>(.*?)</title>", chart)
        assert titles == [f"{period}: {amount}" for period, _, amount in reversed(rows)]


@pytest.mark.usefixtures("at_noon")
async def test_each_period_stands_beside_the_one_before(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    browser = Browser(shop)
    assert "Nothing received yesterday" in (await browser.open("/")).text
    assert "1\u201320 October: nothing received" in (await browser.open("/")).text
    await _pay(merchant_app, asha, shop, 50_00, ago=timedelta(days=1))
    await _pay(merchant_app, asha, shop, 80_00, ago=timedelta(days=31))  # 20 October
    await _pay(merchant_app, asha, shop, 99_00, ago=timedelta(days=30))  # 21 October, so not of as many days
    page = await browser.open("/")
    assert "Yesterday: ₹50.00" in page.text
    assert "38% below 1\u201320 October" in page.text
    await _pay(merchant_app, asha, shop, 70_00, ago=timedelta(0))
    page = await browser.open("/")
    assert "₹20.00 more than all of yesterday" in page.text
    assert "50% above 1\u201320 October" in page.text


async def test_a_new_payment_is_on_the_next_page_load(asha: Signed, shop: Signed) -> None:
    browser = Browser(shop)
    assert "No payment yet" in (await browser.open("/")).text
    await asha.send(shop.wallet_id, 20_00, note="two chai")
    page = await browser.open("/")
    assert "Latest payment: ₹20.00 from Asha Rao" in page.text
    assert "two chai" in page.text
    assert 'data-events="/api/v1/events"' in page.answer.text


async def test_markup_in_a_name_is_shown_as_text(merchant_app: RunningApp, user_app: RunningApp) -> None:
    shop = await merchant_app.shop("<script>alert(1)</script>")
    payer = await user_app.person("<b>Mallory", last_name='"><img src=x onerror=alert(1)>', balance=100_00)
    sent = await payer.send(shop.wallet_id, 20_00, note="<i>note</i>")
    browser = Browser(shop)
    paths = ["/", "/transactions", f"/transactions/{sent.json()['id']}", f"/transactions/{sent.json()['id']}/refund"]
    for path in (*paths, "/qr", "/profile"):
        page = await browser.open(path)
        assert page.status == httpx.codes.OK
        assert page.tags.count("script") == 1, path  # our own
        assert not {"b", "i"} & set(page.tags), path
        assert page.tags.count("img") == (path == "/qr"), path
        assert ' style="' not in page.answer.text


@pytest.mark.usefixtures("at_noon")
async def test_the_page_stays_small(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    for days in range(0, 90, 3):
        await _pay(merchant_app, asha, shop, 12_34, ago=timedelta(days=days))
    page = await Browser(shop).open("/")
    total = len(page.answer.content)
    for path in re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js)\?[^"]+)"', page.answer.text):
        answer = await shop.client.get(path, headers={"Accept-Encoding": "gzip"})
        total += int(answer.headers["content-length"])
    assert total < 60_000, total
