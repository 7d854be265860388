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
from shared.ledger.rules import Transfer, TransferKind
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


async def _pay(
    app: RunningApp, payer: Signed, payee: Signed, amount: int, *, ago: timedelta, kind: TransferKind = "payment"
) -> None:
    """A payment of back then."""
    async with app.sessionmaker.begin() as session:
        wallets = [(await wallet_of(session, each.id)).id for each in (payer, payee)]
        with clock.reading(lambda: NOON - ago):
            await post_one(session, Transfer(new_id(), kind, wallets[0], wallets[1], amount))


def _table(html: str, name: str) -> list[tuple[str, str, str]]:
    """The rows of one of the tables, the newest first."""
    body = html.partition(f'<table id="{name}"')[2].partition("</table>")[0]
    return [(unescape(row[0]), row[1], row[2]) for row in ROW.findall(body)]


@pytest.mark.usefixtures("at_noon")
async def test_tables_and_charts_say_what_the_api_says(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    for days, amount in ((0, 40_00), (0, 25_50), (1, 100_00), (29, 7_00), (30, 9_00), (200, 3_00), (364, 1_00)):
        await _pay(merchant_app, asha, shop, amount, ago=timedelta(days=days))
    daily = (await shop.get("/inflow/daily")).json()["items"]
    monthly = (await shop.get("/inflow/monthly")).json()["items"]
    name = "steps"
    for path, items in (("/", daily), ("/?range=12-months", monthly)):
        page = await Browser(shop).open(path)
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
    await _pay(merchant_app, asha, shop, 50_00, ago=timedelta(days=1, minutes=1))
    await _pay(merchant_app, asha, shop, 30_00, ago=timedelta(hours=23))  # later than by this hour
    await _pay(merchant_app, asha, shop, 80_00, ago=timedelta(days=31))  # 20 October
    await _pay(merchant_app, asha, shop, 99_00, ago=timedelta(days=30))  # 21 October, so not of as many days
    page = await browser.open("/")
    assert "₹50.00 less than yesterday by 12:00 pm" in page.text
    assert "All of yesterday: ₹80.00" in page.text
    assert "As much as 1\u201320 October" in page.text
    await _pay(merchant_app, asha, shop, 70_00, ago=timedelta(0))
    page = await browser.open("/")
    assert "₹20.00 more than yesterday by 12:00 pm" in page.text
    assert "88% above 1\u201320 October" in page.text


@pytest.mark.usefixtures("at_noon")
async def test_a_range_is_chosen_by_its_name_or_its_days(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    for days, amount in ((0, 1), (1, 20), (6, 3_00), (7, 40_00), (40, 500_00), (400, 7)):
        await _pay(merchant_app, asha, shop, amount, ago=timedelta(days=days))
    browser = Browser(shop)
    for query, title, received in (
        ("range=today", "Today 20 Nov ", "Received ₹0 .01"),
        ("range=yesterday", "Yesterday 19 Nov ", "Received ₹0 .20"),
        ("range=7-days", "7 days 14\u201320 Nov ", "Received ₹3 .21"),
        ("range=30-days", "30 days 22 Oct \u2013 20 Nov ", "Received ₹43 .21"),
        ("range=this-month", "This month 1\u201320 Nov ", "Received ₹43 .21"),
        ("range=last-month", "Last month 1\u201331 Oct ", "Received ₹500 .00"),
        ("range=12-months", "12 months 1 Dec 2025 \u2013 20 Nov ", "Received ₹543 .21"),
        ("range=nonsense", "30 days 22 Oct \u2013 20 Nov ", "Received ₹43 .21"),
        ("since=2025-10-16&until=2025-10-16", "Your dates 16 Oct 2025 ", "Received ₹0 .07"),
        ("since=2026-11-14&until=2026-12-31", "Your dates 14\u201320 Nov ", "Received ₹3 .21"),
    ):
        page = await browser.open(f"/?{query}")
        assert title in page.text, query
        assert received in page.text, query


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=2026-11-03&until=2026-11-02", "This day is before From. Choose a later one, or change From"),
        ("since=2025-11-01&until=2026-11-19", "Choose at most 366 days"),
        ("since=2026-11-21", "This day has not come yet. Choose today, or a day before"),
        ("since=1950-01-01&until=1950-01-02", "Choose days from 1970 on"),
        ("since=soon", "Not a date such as 2026-11-20"),
    ],
)
async def test_days_that_cannot_be_are_refused_with_words(shop: Signed, query: str, words: str) -> None:
    page = await Browser(shop).open(f"/?{query}")
    assert page.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert words in page.text
    assert "30 days" in page.text
    assert page.form("/#report").fields["since"] == query.partition("since=")[2].partition("&")[0]


@pytest.mark.usefixtures("at_noon")
async def test_peak_hours_refunds_and_top_customers_are_those_of_the_range(
    merchant_app: RunningApp, user_app: RunningApp, asha: Signed, shop: Signed
) -> None:
    bela = await user_app.person("Bela", last_name="Iyer", balance=1_000_00)
    await _pay(merchant_app, asha, shop, 40_00, ago=timedelta(minutes=20))  # 11:40 in India: 6:10 in UTC
    await _pay(merchant_app, asha, shop, 30_00, ago=timedelta(days=2, minutes=50))
    await _pay(merchant_app, bela, shop, 90_00, ago=timedelta(hours=15))  # 9 pm
    await _pay(merchant_app, bela, shop, 500_00, ago=timedelta(days=20))
    await _pay(merchant_app, shop, asha, 15_00, ago=timedelta(hours=1), kind="refund")
    await _pay(merchant_app, shop, asha, 9_00, ago=timedelta(days=20), kind="refund")
    page = await Browser(shop).open("/?range=7-days")
    hours = {name: (count, amount) for name, count, amount in _table(page.answer.text, "hours")}
    assert len(hours) == 24
    assert hours["11 am \u2013 12 pm"] == ("2", "₹70.00")
    assert hours["9\u201310 pm"] == ("1", "₹90.00")
    assert "Busiest: 9\u201310 pm" in page.text
    assert "Refunded ₹15 .00 1 refund" in page.text
    assert "Bela Iyer 1 payment ₹90 .00 AR Asha Rao 2 payments ₹70 .00" in page.text
    assert f"/transactions?q={asha.wallet_id.replace('@', '%40')}&amp;since=2026-11-14" in page.answer.text
    told = (await shop.get("/inflow/report", range="7-days")).json()
    assert (told["first_day"], told["last_day"]) == ("2026-11-14", "2026-11-20")
    assert told["received"] == {"amount": 160_00, "count": 3, "average": 53_33}
    assert told["before"] == {
        "first_day": "2026-11-07",
        "last_day": "2026-11-13",
        "until": "2026-11-13T06:30:00Z",
        "received": {"amount": 0, "count": 0, "average": 0},
    }
    assert [told["hours"][hour] for hour in (11, 21)] == [
        {"hour": 11, "amount": 70_00, "count": 2},
        {"hour": 21, "amount": 90_00, "count": 1},
    ]
    assert told["refunds"] == {"amount": 15_00, "count": 1, "complete": True}
    assert told["customers"]["payments"] == 3
    assert told["customers"]["items"][0] == {
        "counterparty": {"wallet_id": bela.wallet_id, "name": "Bela Iyer"},
        "amount": 90_00,
        "count": 1,
    }
    days = (await shop.get("/inflow/report", **{"from": "2026-11-14", "to": "2027-01-01"})).json()
    assert days == told
    assert (await shop.get("/inflow/report", **{"from": "2026-11-21"})).json()["code"] == "range_not_begun"
    month = await Browser(shop).open("/?range=30-days")
    assert "Bela Iyer 2 payments ₹590 .00 AR Asha Rao 2 payments ₹70 .00" in month.text
    assert "Refunded ₹24 .00 2 refunds" in month.text


@pytest.mark.usefixtures("at_noon")
async def test_the_page_says_when_customers_are_ranked_by_the_newest_payments_only(
    merchant_app: RunningApp, asha: Signed, shop: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in (1, 2, 3):
        await _pay(merchant_app, asha, shop, 10_00, ago=timedelta(minutes=minutes))
    assert "By the newest" not in (await Browser(shop).open("/")).text
    monkeypatch.setattr("shared.inflow.report.NEWEST_ENTRIES", 2)
    assert "By the newest 2 of 3 payments." in (await Browser(shop).open("/")).text


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
