"""`/transactions`: the statement as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared import clock
from shared.calendar import INDIA
from tests.support.apps import RunningApp, Signed, problem

HOSTILE = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "  =2*5", "\uff1d1", 'a "quoted", note', "₹ आशा"]


async def items(who: Signed, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(100):
        answer = await who.get("/transactions", **filters, **cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page.keys() == {"items", "next_cursor"}
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the list never ends")


async def rows(who: Signed, **filters: Any) -> list[dict[str, str]]:
    answer = await who.get("/transactions.csv", **filters)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_a_line_has_every_field_of_the_contract(asha: Signed, ravi: Signed) -> None:
    sent = (await asha.send(ravi.wallet_id, 20_00, note="chai")).json()
    assert (await items(asha))[0] == {
        "id": sent["id"],
        "direction": "DEBIT",
        "kind": "p2p",
        "amount": 20_00,
        "balance_after": 980_00,
        "counterparty": {"wallet_id": ravi.wallet_id, "name": "Ravi Rao"},
        "note": "chai",
        "created_at": sent["created_at"],
    }
    (received,) = await items(ravi)
    assert (received["direction"], received["counterparty"]["wallet_id"]) == ("CREDIT", asha.wallet_id)
    assert (await items(asha))[1]["counterparty"] == {"wallet_id": None, "name": "Batua"}


async def test_pages_stay_whole_while_money_keeps_moving(asha: Signed, ravi: Signed) -> None:
    for amount in range(1, 6):
        await asha.send(ravi.wallet_id, amount)
    page = (await asha.get("/transactions", limit=2)).json()
    await asha.send(ravi.wallet_id, 99)
    rest = (await asha.get("/transactions", limit=100, cursor=page["next_cursor"])).json()["items"]
    assert [line["amount"] for line in page["items"] + rest] == [5, 4, 3, 2, 1, 1000_00]


async def test_filters_narrow_and_combine(asha: Signed, ravi: Signed, shop: Signed) -> None:
    await asha.send(ravi.wallet_id, 10_00, note="Rent 100%")
    await asha.send(shop.wallet_id, 3_00)
    await ravi.send(asha.wallet_id, 2_00, note="thanks")
    whole = await items(asha)
    assert len(whole) == 4

    assert await items(asha, direction="CREDIT") == [line for line in whole if line["direction"] == "CREDIT"]
    assert [line["amount"] for line in await items(asha, kind="payment")] == [3_00]
    assert [line["amount"] for line in await items(asha, q="rent 100%")] == [10_00]
    assert [line["amount"] for line in await items(asha, q="chai")] == [3_00]
    assert [line["amount"] for line in await items(asha, q=ravi.wallet_id, direction="DEBIT")] == [10_00]
    assert await items(asha, q="") == whole
    assert await items(asha, q="100_") == []
    middle = whole[1]["created_at"]
    assert await items(asha, **{"from": middle}) == whole[:2]
    assert await items(asha, to=middle) == whole[1:]
    assert await items(asha, **{"from": middle, "to": middle}) == whole[1:2]
    today = f"{clock.now():%Y-%m-%d}"
    assert await items(asha, **{"from": today, "to": today}) == whole
    assert await items(asha, **{"from": "2999-01-01"}) == []
    assert await items(asha, to="0001-01-01T00:00:00+14:00") == []
    assert await items(asha, **{"from": "0001-01-01T00:00:00+14:00", "to": "9999-12-31T23:59:59-14:00"}) == whole


@pytest.mark.parametrize(
    "parameters",
    [
        {"direction": "debit"},
        {"kind": "gift"},
        {"from": "yesterday"},
        {"from": "1700000000"},
        {"to": "0"},
        {"to": "2026-13-01"},
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "%%%"},
        {"cursor": "LTE"},
        {"q": "x" * 65},
        {"q": "\x00"},
        {"account_id": "mine"},
    ],
)
async def test_filters_that_make_no_sense_are_refused(asha: Signed, parameters: dict[str, str]) -> None:
    for path in ("/transactions", "/transactions.csv"):
        if path.endswith("csv") and not {"limit", "cursor"}.isdisjoint(parameters):
            continue
        refused = problem(await asha.get(path, **parameters), 422, "invalid_request")
        assert [error["field"] for error in refused["errors"]] == list(parameters)


async def test_a_pot_has_a_statement_of_its_own_for_its_owner_only(asha: Signed, ravi: Signed) -> None:
    pot = (await asha.post("/accounts", name="Goa trip")).json()["id"]
    await asha.send(pot, 5_00)
    (line,) = await items(asha, account_id=pot)
    assert (line["direction"], line["counterparty"]["wallet_id"]) == ("CREDIT", asha.wallet_id)
    for who, account_id in ((ravi, pot), (asha, str(uuid4()))):
        for path in ("/transactions", "/transactions.csv"):
            problem(await who.get(path, account_id=account_id), 404, "account_not_found")


@pytest.mark.usefixtures("midday")
async def test_the_csv_tells_the_same_in_rupees(asha: Signed, ravi: Signed) -> None:
    await asha.send(ravi.wallet_id, 123_45, note="chai")
    answer = await asha.get("/transactions.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="batua-transactions-{clock.now():%Y-%m-%d}.csv"'
    )
    assert answer.text.splitlines()[0] == (
        "created_at,direction,kind,amount,balance_after,counterparty,wallet_id,note,id,local_time"
    )
    lines = await items(asha)
    assert [dict(row) for row in await rows(asha)] == [
        {
            "created_at": line["created_at"],
            "direction": line["direction"],
            "kind": line["kind"],
            "amount": f"{line['amount'] // 100}.{line['amount'] % 100:02d}",
            "balance_after": f"{line['balance_after'] // 100}.{line['balance_after'] % 100:02d}",
            "counterparty": line["counterparty"]["name"],
            "wallet_id": line["counterparty"]["wallet_id"] or "",
            "note": line["note"] or "",
            "id": line["id"],
            "local_time": f"{datetime.fromisoformat(line['created_at']).astimezone(INDIA):%Y-%m-%d %H:%M:%S}",
        }
        for line in lines
    ]
    assert [row["amount"] for row in await rows(asha, direction="DEBIT")] == ["123.45"]


async def test_nothing_in_the_csv_is_a_formula(user_app: RunningApp, ravi: Signed) -> None:
    trickster = await user_app.person("=cmd", last_name="|calc", balance=100_00)
    for note in HOSTILE:
        assert (await trickster.send(ravi.wallet_id, 1, note=note)).status_code == 201
    seen = await rows(ravi)
    assert len(seen) == len(HOSTILE)
    for row, note in zip(reversed(seen), HOSTILE, strict=True):
        assert row["counterparty"] == "'=cmd |calc"
        assert row["note"].lstrip("'") == note.strip().lstrip("'")
        assert all(not value.lstrip().startswith(("=", "+", "-", "@", "\uff1d")) for value in row.values())


async def test_an_empty_statement_is_a_header(ravi: Signed) -> None:
    assert await items(ravi) == []
    assert await rows(ravi) == []
    assert (await ravi.get("/transactions.csv")).text.count("\r\n") == 1


async def test_the_balance_is_known_for_every_moment(asha: Signed, ravi: Signed) -> None:
    account_id = (await asha.wallet())["account_id"]
    sent = (await asha.send(ravi.wallet_id, 400_00)).json()
    before = datetime.fromisoformat(sent["created_at"]) - timedelta(microseconds=1)
    path = f"/accounts/{account_id}/balance"

    assert (await asha.get(path)).json() == {
        "account_id": account_id,
        "balance": 600_00,
        "currency": "INR",
        "at": None,
        "derived": False,
    }
    for derived in (False, True):
        for at, balance in ((before.isoformat(), 1000_00), (sent["created_at"], 600_00), ("2020-01-01", 0)):
            answer = (await asha.get(path, at=at, derived=derived)).json()
            assert (answer["balance"], answer["derived"]) == (balance, derived)
    assert (await asha.get(path, derived="true")).json()["balance"] == 600_00
    problem(await asha.get(path, at="then"), 422, "invalid_request")
    problem(await ravi.get(path), 404, "account_not_found")
