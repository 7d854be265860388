"""Statements as files for a spreadsheet: CSV, and workbooks that another library reads."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from shared.api import statement_xlsx
from tests.support.apps import RunningApp, Signed, problem

HOSTILE = [
    "=1+1",
    "\ufeff=1+1",
    "\u200b+1",
    "\u2060-2",
    "\u00ad@SUM(A1)",
    "http://x.example",
    "{=A1}",
    "007",
]


async def sheet_of(who: Signed, **parameters: Any) -> list[tuple[Any, ...]]:
    answer = await who.get("/transactions.xlsx", **parameters)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == int(answer.headers["content-length"])
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    (sheet,) = book.worksheets
    return list(sheet.iter_rows())


async def test_a_workbook_holds_dates_amounts_and_text(merchant_app: RunningApp, asha: Signed) -> None:
    shop = await merchant_app.shop("Kulfi \u0915\u093c", timezone="America/New_York")
    for note in HOSTILE:
        assert (await asha.send(shop.wallet_id, 12_34, note=note)).status_code == 201
    lines = (await shop.get("/transactions", limit=100)).json()["items"]
    header, *rows = await sheet_of(shop)
    assert [cell.value for cell in header][:3] == ["Time", "Direction", "Kind"]
    assert len(rows) == len(lines) == len(HOSTILE)
    for row, line in zip(rows, lines, strict=True):
        moment = datetime.fromisoformat(line["created_at"]).astimezone(ZoneInfo("America/New_York"))
        assert abs(row[0].value - moment.replace(tzinfo=None)).total_seconds() < 1
        assert row[0].is_date
        assert [cell.value for cell in row[1:3]] == [line["direction"], line["kind"]]
        assert [round(cell.value * 100) for cell in row[3:5]] == [line["amount"], line["balance_after"]]
        assert [cell.data_type for cell in row[3:5]] == ["n", "n"]
        assert "##,##0.00" in row[3].number_format
        assert row[5].value == line["counterparty"]["name"]
        assert row[8].value == line["id"]
        note = row[7]
        assert (note.value, note.hyperlink) == (line["note"], None)
    assert {cell.data_type for row in rows for cell in row[5:]} <= {"s", "inlineStr"}, "nothing is a formula"


async def test_sums_come_at_the_end_when_they_are_asked_for(asha: Signed, ravi: Signed) -> None:
    for amount in (10_10, 20_20):
        await asha.send(ravi.wallet_id, amount)
    *_, empty, money_in, money_out = await sheet_of(asha, totals="true")
    assert all(cell.value is None for cell in empty)
    assert [(row[0].value, row[3].value) for row in (money_in, money_out)] == [("Money in", 1000), ("Money out", 30.3)]
    text = (await asha.get("/transactions.csv", totals="true")).text
    *_, credit, debit = csv.DictReader(io.StringIO(text, newline=""))
    assert (credit["direction"], credit["kind"], credit["amount"]) == ("CREDIT", "total", "1000.00")
    assert (debit["direction"], debit["kind"], debit["amount"]) == ("DEBIT", "total", "30.30")
    assert "total" not in (await asha.get("/transactions.csv")).text


async def test_a_mark_comes_first_when_it_is_asked_for(asha: Signed, shop: Signed) -> None:
    for who, parameters, begins in ((asha, {"bom": "true"}, True), (shop, {"bom": "true"}, True), (asha, {}, False)):
        content = (await who.get("/transactions.csv", **parameters)).content
        assert content.startswith(b"\xef\xbb\xbf") == begins
        assert content.removeprefix(b"\xef\xbb\xbf").startswith(b"created_at,")


async def test_the_local_time_is_the_shops(merchant_app: RunningApp, asha: Signed) -> None:
    shop = await merchant_app.shop(timezone="Asia/Dubai")
    await asha.send(shop.wallet_id, 100)
    (row,) = csv.DictReader(io.StringIO((await shop.get("/transactions.csv")).text, newline=""))
    moment = datetime.fromisoformat(row["created_at"]).astimezone(ZoneInfo("Asia/Dubai"))
    assert row["local_time"] == f"{moment:%Y-%m-%d %H:%M:%S}"


async def test_a_workbook_is_bounded(asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_xlsx, "MAX_LINES", 3)
    monkeypatch.setattr(statement_xlsx, "ROWS_PER_STEP", 2)
    for _ in range(2):
        await asha.send(ravi.wallet_id, 100)
    assert len(await sheet_of(asha)) == 4
    await asha.send(ravi.wallet_id, 100)
    problem(await asha.get("/transactions.xlsx"), 422, "too_many_lines")
    assert len(await sheet_of(asha, direction="DEBIT")) == 4
    monkeypatch.setattr(statement_xlsx, "MAX_AT_ONCE", 0)
    busy = await asha.get("/transactions.xlsx")
    problem(busy, 503, "unavailable")
    assert int(busy.headers["retry-after"]) > 0


async def test_a_workbook_of_nothing_has_a_header_and_no_other_owners_account_is_exported(
    asha: Signed, ravi: Signed
) -> None:
    assert len(await sheet_of(ravi)) == 1
    account_id = (await asha.wallet())["account_id"]
    problem(await ravi.get("/transactions.xlsx", account_id=account_id), 404, "account_not_found")
