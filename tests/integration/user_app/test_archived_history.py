"""What owners see once their oldest entries are archived: less history, said clearly, and never a wrong number."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import openpyxl
import pytest
from redis.asyncio import Redis
from sqlalchemy import text

from shared import clock
from shared.api.transactions import OpeningOut, StatementOut, transaction_of
from shared.calendar import INDIA
from shared.clock import rfc3339
from shared.db.engine import SessionMaker
from shared.http.pagination import cursor_of
from shared.ids import new_id
from shared.inflow.commands import roll_up_all
from shared.inflow.rollups import inflow_of_quarter_until, quarter_of
from shared.inflow.views import Inflow
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.ledger.openings import Opening
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.ledger.statement import Filter
from shared.ledger.statement_totals import StatementTotals, read_totals
from shared.live import feed
from shared.live.feed import Cursor, Feed
from shared.operators import lookups
from shared.pages.formatting import on
from shared.proof.archive import KEPT_FOR, archive
from shared.proof.seals import seal
from tests.support.apps import (
    PIN,
    RunningApp,
    Signed,
    merchant_app_settings,
    problem,
    running,
    user_app_settings,
)
from tests.support.archive_world import LONG_AGO
from tests.support.browsing import Browser
from tests.support.factories import fund

LINES_AWAY = 4


@dataclass
class Scene:
    """Asha got 1,000 and paid the shop twice and Ravi once, all of it long ago and archived. Today she paid Ravi 5."""

    app: RunningApp
    shops: RunningApp
    asha: Signed
    ravi: Signed
    shop: Signed
    account_id: UUID
    payment: UUID
    until: datetime

    @property
    def sessionmaker(self) -> SessionMaker:
        return self.app.sessionmaker


async def move(sessionmaker: SessionMaker, kind: TransferKind, one: Signed, other: Signed, amount: int) -> UUID:
    async with sessionmaker.begin() as session:
        debited, credited = await wallet_of(session, one.id), await wallet_of(session, other.id)
        transfer = Transfer(new_id(), kind, debited.id, credited.id, amount, note="chai", initiated_by=one.id)
        await post_one(session, transfer)
    return transfer.id


async def archive_all(sessionmaker: SessionMaker, directory: Path) -> int:
    return len([each async for each in archive(sessionmaker, directory, before=clock.now() - KEPT_FOR)])


@pytest.fixture
async def scene(fresh_database_url: str, redis_url: str, redis: Redis, tmp_path: Path) -> AsyncIterator[Scene]:
    async with (
        running(user_app_settings(fresh_database_url, redis_url)) as app,
        running(merchant_app_settings(fresh_database_url, redis_url)) as shops,
    ):
        asha, ravi, shop = await app.person("Asha"), await app.person("Ravi"), await shops.shop("Chai Point")
        account_id = UUID((await asha.wallet())["account_id"])
        start = quarter_of(clock.now() - LONG_AGO)  # all of it in one quarter of an hour, so on one day
        with clock.reading(lambda: start):
            async with app.sessionmaker.begin() as session:
                await session.execute(text("UPDATE accounts SET created_at = :at"), {"at": start})
                await fund(session, account_id, 1000_00)
        with clock.reading(lambda: start + timedelta(minutes=1)):
            paid = await move(app.sessionmaker, "payment", asha, shop, 10_00)
        with clock.reading(lambda: start + timedelta(minutes=2)):
            await move(app.sessionmaker, "payment", asha, shop, 10_00)
        with clock.reading(lambda: start + timedelta(minutes=3)):
            await move(app.sessionmaker, "p2p", asha, ravi, 10_00)
        with clock.reading(lambda: start + timedelta(hours=1)):
            await roll_up_all(app.sessionmaker)
            async with app.sessionmaker.begin() as session:
                assert await seal(session) is not None
        assert (await asha.send(ravi.wallet_id, 5_00)).status_code == httpx.codes.CREATED
        assert await archive_all(app.sessionmaker, tmp_path) == 1
        yield Scene(app, shops, asha, ravi, shop, account_id, paid, start + timedelta(minutes=3))


async def test_the_statement_ends_with_the_opening_balance(scene: Scene) -> None:
    opening = {"balance": 970_00, "archived_until": rfc3339(scene.until, "auto")}
    asked: list[dict[str, Any]] = [{}, {"limit": 1}, {"kind": "p2p"}, {"from": "2001-01-01"}, {"q": "Ravi"}]
    for parameters in [*asked, {"account_id": str(scene.account_id)}]:
        body = (await scene.asha.get("/transactions", **parameters)).json()
        assert [line["amount"] for line in body["items"]] == [5_00], parameters
        assert body["next_cursor"] is None
        assert body["opening"] == opening, parameters
    older = (await scene.asha.get("/transactions", cursor=cursor_of(LINES_AWAY))).json()
    assert older == {"items": [], "next_cursor": None, "opening": opening}
    newest = f"{clock.now() - timedelta(days=1):%Y-%m-%d}"
    assert "opening" not in (await scene.asha.get("/transactions", **{"from": newest})).json()
    assert (await scene.ravi.get("/transactions")).json()["opening"]["balance"] == 10_00
    assert (await scene.shop.get("/transactions")).json()["items"] == []


async def test_pages_before_the_last_do_not_have_it(scene: Scene) -> None:
    assert (await scene.asha.send(scene.ravi.wallet_id, 6_00)).status_code == httpx.codes.CREATED
    first = (await scene.asha.get("/transactions", limit=1)).json()
    assert "opening" not in first
    second = (await scene.asha.get("/transactions", limit=1, cursor=first["next_cursor"])).json()
    assert [each["amount"] for each in second["items"]] == [5_00]
    assert (second["next_cursor"], second["opening"]["balance"]) == (None, 970_00)
    filtered = (await scene.asha.get("/transactions", limit=1, kind="p2p")).json()
    assert "opening" not in filtered


async def test_both_ways_of_writing_it_say_what_the_model_says(scene: Scene) -> None:
    async with scene.sessionmaker() as session:
        found = await statement.read_page(session, scene.account_id, limit=20)
    assert found.opening is not None
    modelled = StatementOut(
        items=[transaction_of(line) for line in found.lines],
        next_cursor=None,
        opening=OpeningOut(balance=found.opening.balance, archived_until=found.opening.until),
    )
    assert (await scene.asha.get("/transactions")).content == modelled.model_dump_json().encode()
    assert (await scene.asha.get("/transactions", **{"from": "2001-01-01"})).json() == modelled.model_dump(mode="json")


async def test_files_for_spreadsheets_end_with_it(scene: Scene) -> None:
    answer = await scene.asha.get("/transactions.csv", totals="true")
    line, opening, *totals = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (line["amount"], line["balance_after"]) == ("5.00", "965.00")
    assert (opening["kind"], opening["amount"], opening["balance_after"]) == ("opening", "", "970.00")
    assert opening["created_at"] == rfc3339(scene.until, "auto")
    assert opening["note"] == "Earlier transactions are archived"
    assert [each["amount"] for each in totals] == ["0.00", "5.00"]
    book = openpyxl.load_workbook(io.BytesIO((await scene.asha.get("/transactions.xlsx")).content))
    *_, last = book.worksheets[0].iter_rows(values_only=True)
    assert (last[2], last[3], last[4], last[7]) == ("opening", None, 970, "Earlier transactions are archived")


async def test_what_is_archived_while_lines_are_read_is_left_out(scene: Scene, tmp_path: Path) -> None:
    with clock.reading(lambda: scene.until + timedelta(days=1)):
        for _ in range(4):
            await move(scene.sessionmaker, "p2p", scene.asha, scene.ravi, 1_00)
        async with scene.sessionmaker.begin() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            for table in ("entries", "transfers"):  # all of it is of that day, what was sent today, too
                await session.execute(text(f"UPDATE {table} SET created_at = :at"), {"at": clock.now()})
            await seal(session)
    reads = scene.app.app.state.resources.history(scene.account_id, 0)
    read: list[Any] = []
    async for line in statement.stream(reads, scene.account_id, chunk=2):
        read.append(line)
        if len(read) == 2:
            assert await archive_all(scene.sessionmaker, tmp_path) == 1
    *lines, opening = read
    assert isinstance(opening, Opening)
    assert len(lines) == 2
    assert opening.balance == lines[-1].balance_after + lines[-1].amount
    assert opening.seq == lines[-1].seq - 1


async def test_a_balance_before_it_is_a_problem_and_no_wrong_number(scene: Scene) -> None:
    path = f"/accounts/{scene.account_id}/balance"
    for derived in ("false", "true"):
        for at in (scene.until - timedelta(microseconds=1), scene.until - timedelta(minutes=2)):
            body = problem(await scene.asha.get(path, at=rfc3339(at), derived=derived), 422, "history_archived")
            assert body["archived_until"] == rfc3339(scene.until, "auto")
        for at, balance in (
            (scene.until, 970_00),
            (scene.until + timedelta(days=1), 970_00),
            (clock.now(), 965_00),
            (scene.until - timedelta(days=1), 0),  # before there was an account
        ):
            answer = await scene.asha.get(path, at=rfc3339(at), derived=derived)
            assert (answer.status_code, answer.json()["balance"]) == (200, balance), at
        assert (await scene.asha.get(path, derived=derived)).json()["balance"] == 965_00


async def test_a_receipt_lacks_the_balance_and_the_payment_can_be_refunded(scene: Scene) -> None:
    receipt = (await scene.asha.get(f"/transfers/{scene.payment}")).json()
    assert (receipt["amount"], receipt["balance_after"], receipt["note"]) == (10_00, None, "chai")
    answer = await scene.shop.post(f"/transactions/{scene.payment}/refund", amount=4_00, pin=PIN)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    assert (await scene.asha.wallet())["balance"] == 969_00
    more = await scene.shop.post(f"/transactions/{scene.payment}/refund", amount=7_00, pin=PIN)
    problem(more, 422, "reversal_exceeds_original")


async def test_pages_say_so(scene: Scene) -> None:
    browser = Browser(scene.asha)
    day = on(scene.until)
    page = await browser.open("/activity")
    assert f"Transactions until {day} are archived. The balance after them was ₹970.00." in page.text
    searched = await browser.open("/activity?q=Ravi")
    assert f"Transactions until {day} are archived and not searched." in searched.text
    unmatched = await browser.open("/activity?kind=payment")
    assert f"No match since {day} Older transactions are archived and not searched." in unmatched.text
    assert "The balance after them" not in searched.text + unmatched.text
    older = await browser.open(f"/activity?cursor={cursor_of(LINES_AWAY)}")
    assert f"No older transactions Transactions until {day} are archived. The balance" in older.text
    assert (await browser.open(f"/transfers/{scene.payment}")).status == httpx.codes.OK


async def test_whose_transactions_are_all_archived_is_not_greeted_as_a_newcomer(scene: Scene, tmp_path: Path) -> None:
    newcomer = await scene.app.person("Meera")
    assert "Your wallet is ready" in (await Browser(newcomer).open("/")).text
    assert "Your wallet is ready" not in (await Browser(scene.asha).open("/")).text
    async with scene.sessionmaker.begin() as session:  # Asha's own line of today goes behind the opening balance, too
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for table in ("entries", "transfers"):
            await session.execute(text(f"UPDATE {table} SET created_at = :at"), {"at": scene.until})
    with clock.reading(lambda: scene.until + timedelta(hours=2)):
        async with scene.sessionmaker.begin() as session:
            assert await seal(session) is not None
    assert await archive_all(scene.sessionmaker, tmp_path) == 1
    home = (await Browser(scene.asha).open("/")).text
    assert "No recent transactions Your older transactions are archived." in home
    assert "Your wallet is ready" not in home
    activity = (await Browser(scene.asha).open("/activity")).text
    assert f"No transaction since {on(scene.until)} Older transactions are archived." in activity
    assert "The balance after them was ₹965.00." in activity
    dashboard = (await Browser(scene.shop).open("/")).text
    assert "No recent payment" in dashboard
    assert "No payment yet" not in dashboard


async def test_a_shops_figures_stay(scene: Scene) -> None:
    day = f"{scene.until.astimezone(INDIA):%Y-%m-%d}"
    report = (await scene.shop.get("/inflow/report", **{"from": day, "to": day})).json()
    assert (report["received"]["amount"], report["received"]["count"]) == (20_00, 2)
    assert report["customers"] == {"items": [], "payments": 0}


async def test_sums_of_lines_some_of_which_are_archived_are_not_told(scene: Scene) -> None:
    async with scene.sessionmaker() as session:

        async def sums(wanted: Filter) -> StatementTotals | None:
            return await read_totals(session, scene.account_id, owner_id=scene.asha.id, wanted=wanted)

        assert await sums(Filter(direction="DEBIT")) is None
        assert await sums(Filter(since=scene.until)) is None
        assert await sums(Filter(since=scene.until + timedelta(minutes=1))) == StatementTotals(0, 5_00)


async def test_a_part_of_a_quarter_that_is_archived_is_not_counted(scene: Scene) -> None:
    async with scene.sessionmaker() as session:
        shop = await wallet_of(session, scene.shop.id)
        begins = quarter_of(scene.until)
        counted = await inflow_of_quarter_until(session, shop.id, scene.until + timedelta(seconds=1))
        assert counted == (Inflow(), begins)
        later = begins + timedelta(minutes=20)
        assert await inflow_of_quarter_until(session, shop.id, later) == (Inflow(), later)


@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_events_begin_with_what_is_here(scene: Scene, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(feed, "BATCH", batch)
    resources = scene.app.app.state.resources
    wallet = (await resources.sessions.check(scene.asha.token)).wallet
    listener = Feed(scene.asha.id, Cursor(1, clock.now() - LONG_AGO))
    events, is_more = [], True
    while is_more:
        found, is_more = await listener.read_events(resources.reads, wallet, clock.now())
        events += found
    assert [event.name for event in events] == ["transaction", "balance"]


async def test_operators_are_told_what_is_away(scene: Scene) -> None:
    async with scene.sessionmaker() as session:
        found = await lookups.transfer(session, scene.payment)
        assert found is not None
        assert found["entries"] == []
        assert [each["direction"] for each in found["archived_entries"]] == ["DEBIT", "CREDIT"]
        (account,) = await lookups.find(session, str(scene.account_id))
        assert account["archived_until"] == scene.until
        assert len(account["newest_transfers"]) == 1
