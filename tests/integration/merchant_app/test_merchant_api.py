"""What a shop sees: its wallet, its inflow, its statement, its withdrawals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared import clock
from tests.support.apps import PIN, RunningApp, Signed, problem

ZERO = {"amount": 0, "count": 0, "average": 0}


@pytest.mark.usefixtures("midday")
async def test_a_payment_shows_everywhere_at_once(asha: Signed, shop: Signed) -> None:
    for amount in (100_00, 200_01):
        assert (await asha.send(shop.wallet_id, amount, note="chai")).status_code == 201
    today = clock.now().astimezone(ZoneInfo("Asia/Kolkata")).date()

    wallet = await shop.wallet()
    assert (wallet["wallet_id"], wallet["balance"]) == (shop.wallet_id, 300_01)

    summary = (await shop.get("/inflow/summary")).json()
    taken = {"amount": 300_01, "count": 2, "average": 150_01}
    assert summary == {
        "timezone": "Asia/Kolkata",
        "today": taken,
        "yesterday": ZERO,
        "this_month": taken,
        "last_month": ZERO,
    }

    daily = (await shop.get("/inflow/daily")).json()
    assert daily["timezone"] == "Asia/Kolkata"
    assert len(daily["items"]) == 30
    assert daily["items"][-1] == {"date": today.isoformat(), "amount": 300_01, "count": 2}
    assert daily["items"][-2] == {"date": (today - timedelta(days=1)).isoformat(), "amount": 0, "count": 0}

    monthly = (await shop.get("/inflow/monthly")).json()
    assert len(monthly["items"]) == 12
    assert monthly["items"][-1] == {"month": f"{today:%Y-%m}", "amount": 300_01, "count": 2}

    (latest, _) = (await shop.get("/transactions")).json()["items"]
    assert (latest["direction"], latest["kind"], latest["amount"]) == ("CREDIT", "payment", 200_01)
    assert latest["counterparty"] == {"wallet_id": asha.wallet_id, "name": "Asha Rao"}
    csv = (await shop.get("/transactions.csv", q="asha")).text
    assert csv.count("\r\n") == 3
    assert ",CREDIT,payment,200.01,300.01,Asha Rao," in csv


@pytest.mark.usefixtures("midday")
async def test_days_are_those_of_the_shops_own_zone(merchant_app: RunningApp, asha: Signed) -> None:
    shops = [await merchant_app.shop(timezone=zone) for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")]
    for shop in shops:
        await asha.send(shop.wallet_id, 5_00)
    newest = [(await shop.get("/inflow/daily")).json()["items"][-1] for shop in shops]
    assert [day["amount"] for day in newest] == [5_00, 5_00]
    assert newest[0]["date"] > newest[1]["date"]  # 25 hours apart


async def test_a_range_includes_both_its_ends(shop: Signed) -> None:
    daily = (await shop.get("/inflow/daily", **{"from": "2026-02-27", "to": "2026-03-01"})).json()
    assert [item["date"] for item in daily["items"]] == ["2026-02-27", "2026-02-28", "2026-03-01"]
    monthly = (await shop.get("/inflow/monthly", **{"from": "2025-12", "to": "2026-01"})).json()
    assert monthly["items"] == [{"month": month, "amount": 0, "count": 0} for month in ("2025-12", "2026-01")]


@pytest.mark.parametrize(
    ("path", "first", "last", "code"),
    [
        ("daily", "2026-01-02", "2026-01-01", "range_reversed"),
        ("daily", "2024-01-01", "2025-01-01", "range_too_long"),
        ("daily", "0001-01-01", "0001-01-01", "range_out_of_reach"),
        ("daily", "9999-12-31", "9999-12-31", "range_out_of_reach"),
        ("daily", "2026-02-30", "2026-03-01", "invalid_request"),
        ("daily", "yesterday", "today", "invalid_request"),
        ("daily", "0", "1", "invalid_request"),
        ("daily", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "invalid_request"),
        ("monthly", "2026-02", "2026-01", "range_reversed"),
        ("monthly", "2020-01", "2025-01", "range_too_long"),
        ("monthly", "0000-01", "0000-02", "range_out_of_reach"),
        ("monthly", "2026-13", "2026-13", "invalid_request"),
        ("monthly", "2026-1", "2026-2", "invalid_request"),
    ],
)
async def test_ranges_that_make_no_sense_are_refused(shop: Signed, path: str, first: str, last: str, code: str) -> None:
    problem(await shop.get(f"/inflow/{path}", **{"from": first, "to": last}), 422, code)


async def test_a_shop_withdraws_through_the_same_queue(asha: Signed, shop: Signed) -> None:
    await asha.send(shop.wallet_id, 300_00)
    body: dict[str, Any] = {
        "bank": "axis",
        "account_number": "998877665544",
        "ifsc": "UTIB0000001",
        "account_holder": "Chai Point",
        "amount": 200_00,
        "pin": PIN,
    }
    answer = await shop.post("/withdrawals", **body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["account_number"] == "XXXXXX5544"
    assert (await shop.wallet())["available"] == 100_00
    cancelled = await shop.post(f"/withdrawals/{answer.json()['id']}/cancel", key=None)
    assert cancelled.json()["status"] == "cancelled"
    assert (await shop.wallet())["available"] == 300_00


async def test_what_is_not_ones_own_is_not_there(merchant_app: RunningApp, asha: Signed, shop: Signed) -> None:
    await asha.send(shop.wallet_id, 300_00)
    other = await merchant_app.shop("Dosa Corner")
    assert (await other.get("/inflow/summary")).json()["today"] == ZERO
    account_id = (await shop.wallet())["account_id"]
    problem(await other.get("/transactions", account_id=account_id), 404, "account_not_found")
    person = Signed(merchant_app.client, asha.profile, asha.token)
    for path in ("/wallet", "/transactions", "/transactions.csv", "/inflow/summary", "/withdrawals"):
        problem(await person.get(path), 401, "token_invalid")
