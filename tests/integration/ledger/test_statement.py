"""Reading an account's history, on a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared import clock
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.ids import new_id
from shared.ledger import statement, system_accounts
from shared.ledger.accounts import open_account
from shared.ledger.errors import AccountNotFound
from shared.ledger.parties import Party
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.ledger.statement import Filter, Line
from shared.models import Account
from tests.support import factories

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def move(
    sessionmaker: SessionMaker,
    debit: UUID,
    credit: UUID,
    amount: int,
    *,
    kind: TransferKind = "p2p",
    note: str | None = None,
    at: datetime | None = None,
) -> UUID:
    transfer = Transfer(new_id(), kind, debit, credit, amount, note=note)
    async with sessionmaker.begin() as session:
        if at is None:
            await post_one(session, transfer)
        else:
            with clock.reading(lambda: at):
                await post_one(session, transfer)
    return transfer.id


async def people(sessionmaker: SessionMaker, balance: int = 0) -> tuple[Account, Account]:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session, first_name="Asha", balance=balance)
        ravi = await factories.create_user(session, first_name="Ravi", balance=1000)
    return asha, ravi


async def walk(sessionmaker: SessionMaker, account_id: UUID, *, limit: int, wanted: Filter) -> list[Line]:
    lines: list[Line] = []
    before: int | None = None
    for _ in range(1000):
        async with sessionmaker() as session:
            page = await statement.read_page(session, account_id, limit=limit, before_seq=before, wanted=wanted)
        assert len(page.lines) <= limit
        lines += page.lines
        if page.next_before is None:
            return lines
        assert before is None or page.next_before < before
        before = page.next_before
    raise AssertionError("the statement never ends")


async def test_a_line_names_the_transfer_and_the_counterparty(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker, balance=500)
    transfer_id = await move(sessionmaker, asha.id, ravi.id, 200, note="chai")

    async with sessionmaker() as session:
        sent = (await statement.read_page(session, asha.id, limit=1)).lines[0]
        received = (await statement.read_page(session, ravi.id, limit=1)).lines[0]

    assert (sent.transfer_id, sent.direction, sent.kind, sent.amount) == (transfer_id, "DEBIT", "p2p", 200)
    assert (sent.balance_after, sent.note, sent.counterparty) == (300, "chai", Party(ravi.handle, "Ravi Rao"))
    assert (received.direction, received.balance_after) == ("CREDIT", 1200)
    assert received.counterparty == Party(asha.handle, "Asha Rao")


async def test_the_platform_banks_and_shops_are_shown_by_name(sessionmaker: SessionMaker) -> None:
    asha, _ = await people(sessionmaker, balance=500)
    async with sessionmaker.begin() as session:
        shop = await factories.create_merchant(session, business_name="Chai Point")
    await move(sessionmaker, system_accounts.SETTLEMENT["hdfc"], asha.id, 50, kind="onramp")
    await move(sessionmaker, asha.id, shop.id, 20, kind="payment")

    lines = await walk(sessionmaker, asha.id, limit=10, wanted=Filter())

    assert [line.counterparty for line in lines] == [
        Party(shop.handle, "Chai Point"),
        Party(None, "HDFC Bank"),
        Party(None, "Batua"),
    ]


async def test_a_pot_shows_its_name_to_its_owner_and_the_owners_name_to_others(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker, balance=500)
    async with sessionmaker.begin() as session:
        assert asha.owner_id is not None
        pot = await open_account(session, owner_id=asha.owner_id, kind="pot", name="Secret plan")
    await move(sessionmaker, asha.id, pot.id, 100)
    await move(sessionmaker, pot.id, ravi.id, 60)

    async with sessionmaker() as session:
        own = (await statement.read_page(session, asha.id, limit=1)).lines[0]
        his = (await statement.read_page(session, ravi.id, limit=1)).lines[0]
        found = (await statement.read_page(session, ravi.id, limit=5, wanted=Filter(search="Secret"))).lines

    assert own.counterparty == Party(None, "Secret plan")
    assert his.counterparty == Party(asha.handle, "Asha Rao")
    assert found == []


async def test_pages_neither_repeat_nor_miss_a_line_while_new_ones_arrive(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker, balance=1000)
    sent = [await move(sessionmaker, asha.id, ravi.id, amount) for amount in range(1, 8)]

    seen: list[UUID] = []
    before: int | None = None
    while True:
        async with sessionmaker() as session:
            page = await statement.read_page(session, asha.id, limit=2, before_seq=before)
        seen += [line.transfer_id for line in page.lines]
        await move(sessionmaker, asha.id, ravi.id, 1, note="late")
        if page.next_before is None:
            break
        before = page.next_before

    assert seen[:-1] == sent[::-1]  # and last the funding that the account began with
    assert len(seen) == len(sent) + 1


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_filters_agree_with_filtering_the_whole_history_by_hand(
    sessionmaker: SessionMaker, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "SCAN_LINES", 4)
    monkeypatch.setattr(statement, "SEARCH_LINES", 4)
    asha, ravi = await people(sessionmaker)
    await move(sessionmaker, system_accounts.FUNDING, asha.id, 1000, kind="funding", at=NOON)
    for minute in range(12):
        ends = (asha.id, ravi.id) if minute % 3 else (ravi.id, asha.id)
        at = NOON + timedelta(minutes=minute)
        await move(sessionmaker, *ends, 10 + minute, note=f"note {minute}% off_", at=at)
    whole = await walk(sessionmaker, asha.id, limit=100, wanted=Filter())
    assert len(whole) == 13

    since, until = NOON + timedelta(minutes=3), NOON + timedelta(minutes=9)
    cases = {
        Filter(direction="DEBIT"): [line for line in whole if line.direction == "DEBIT"],
        Filter(kind="funding"): [line for line in whole if line.kind == "funding"],
        Filter(since=since): [line for line in whole if line.created_at >= since],
        Filter(until=until): [line for line in whole if line.created_at <= until],
        Filter(since=since, until=until, direction="CREDIT"): [
            line for line in whole if since <= line.created_at <= until and line.direction == "CREDIT"
        ],
        Filter(search="NOTE 1"): [line for line in whole if "note 1" in (line.note or "")],
        Filter(search="1%"): [line for line in whole if "1%" in (line.note or "")],
        Filter(search="ravi"): [line for line in whole if "Ravi" in line.counterparty.name],
        Filter(search=ravi.handle): [line for line in whole if "Ravi" in line.counterparty.name],
        Filter(search="batu", kind="funding"): [line for line in whole if line.kind == "funding"],
        Filter(search="%%"): [],
        Filter(since=NOON + timedelta(days=1)): [],
        Filter(until=NOON - timedelta(days=1)): [],
    }
    for wanted, expected in cases.items():
        assert await walk(sessionmaker, asha.id, limit=limit, wanted=wanted) == expected, wanted
    assert len(cases[Filter(since=since, until=until, direction="CREDIT")]) == 3


async def test_a_stream_gives_every_line_once_and_ends_where_it_began(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker, balance=1000)
    sent = [await move(sessionmaker, asha.id, ravi.id, amount) for amount in range(1, 8)]

    seen: list[UUID] = []
    async for line in statement.stream(Reads(sessionmaker.kw["bind"]), asha.id, chunk=3):
        if not seen:
            await move(sessionmaker, asha.id, ravi.id, 1, note="late")
        assert isinstance(line, Line)  # nothing is archived
        seen.append(line.transfer_id)

    assert seen[:-1] == sent[::-1]


async def test_the_balance_at_a_moment_is_the_last_one_written_by_then(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker)
    await move(sessionmaker, system_accounts.FUNDING, asha.id, 1000, kind="funding", at=NOON)
    await move(sessionmaker, asha.id, ravi.id, 300, at=NOON + timedelta(hours=1))

    async with sessionmaker() as session:
        moments = [NOON - timedelta(microseconds=1), NOON, NOON + timedelta(minutes=59), NOON + timedelta(hours=1)]
        assert [await statement.balance_at(session, asha.id, at) for at in moments] == [0, 1000, 1000, 700]
        assert [await statement.derived_balance(session, asha.id, at) for at in moments] == [0, 1000, 1000, 700]
        assert await statement.derived_balance(session, asha.id) == 700


async def test_an_unknown_account_has_no_statement(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        with pytest.raises(AccountNotFound):
            await statement.read_page(session, new_id(), limit=1)
        assert await statement.balance_at(session, new_id(), NOON) == 0
        assert await statement.derived_balance(session, new_id()) == 0


async def test_a_page_reads_few_rows_however_long_the_history_is(sessionmaker: SessionMaker) -> None:
    asha, ravi = await people(sessionmaker, balance=1000)
    for _ in range(30):
        await move(sessionmaker, asha.id, ravi.id, 1)
    async with sessionmaker() as session:
        page = await statement.read_page(session, asha.id, limit=3)
        assert page.next_before == 29
        older = await statement.read_page(session, asha.id, limit=3, before_seq=page.next_before)
    assert [line.seq for line in older.lines] == [28, 27, 26]
