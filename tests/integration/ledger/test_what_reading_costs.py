"""How many rows a read touches does not grow with the history. Postgres counts them; no clock is involved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.books import load_years
from shared import calendar, clock
from shared.calendar import INDIA
from shared.db.engine import SessionMaker
from shared.inflow import queries as inflow
from shared.inflow.commands import roll_up_all
from shared.inflow.report import TOP_CUSTOMERS, report
from shared.inflow.spans import PRESETS, Span, span_of
from shared.inflow.views import Report
from shared.ledger import statement
from shared.ledger.statement import Filter
from shared.ledger.statement_totals import read_totals
from shared.models import Account
from shared.runtime.database import LOOK_UP_BY_KEY
from shared.transfers import written_statements
from shared.transfers.queries import get_refundable_payment, refunded_amounts
from shared.transfers.receipts import get_receipt
from tests.support.factories import create_merchant

DAYS = 2
"""Few, so that both histories are rolled up into the same quarters of an hour."""
LINES = 20
ROWS_PER_LINE = 7
"""An entry, its transfer, what was refunded of it, and who the other side is: account, wallet, person or shop."""

Read = Callable[[AsyncSession], Awaitable[object]]

# Of this transaction. A table of a few hundred rows would be read from end to end, a real one is not.
_PLAN_AS_FOR_MILLIONS = """
    SELECT set_config('enable_' || way, 'off', true)
    FROM unnest(ARRAY['seqscan', 'hashjoin', 'mergejoin', 'bitmapscan']) AS way
"""
_EVERY_JOIN = """
    SELECT set_config('enable_' || way, 'on', true) FROM unnest(ARRAY['hashjoin', 'mergejoin', 'bitmapscan']) AS way
"""
_ROWS_READ = "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_xact_user_tables"


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop with so many lines on its statement."""

    sessionmaker: SessionMaker
    account_id: UUID
    owner_id: UUID
    payment: UUID
    lines: int

    async def rows_read(self, read: Read) -> int:
        async with self.sessionmaker() as session:
            await session.execute(text(_PLAN_AS_FOR_MILLIONS))
            before = await session.scalar(text(_ROWS_READ)) or 0
            await read(session)
            return int(await session.scalar(text(_ROWS_READ)) or 0) - before


async def grown(sessionmaker: SessionMaker, database_url: str, entries: int) -> Shop:
    async with sessionmaker.begin() as session:
        account = await create_merchant(session)
        account_id, owner_id = account.id, account.owner_id
    assert owner_id is not None
    await load_years(database_url, shop=account_id, shop_owner=owner_id, entries=entries, days=DAYS)
    while await roll_up_all(sessionmaker):
        pass
    async with sessionmaker() as session:
        refunded = "SELECT reverses FROM transfers WHERE kind = 'refund' ORDER BY id LIMIT 1"
        payment = (await session.execute(text(refunded))).scalar_one()
        return Shop(sessionmaker, account_id, owner_id, payment, (await session.get_one(Account, account_id)).seq)


@pytest.fixture
async def shop(fresh_sessionmaker: SessionMaker, fresh_database_url: str) -> Shop:
    shop = await grown(fresh_sessionmaker, fresh_database_url, 20_000)
    assert shop.lines > 5_000
    return shop


def page(shop: Shop, wanted: Filter = statement.EVERYTHING, before_seq: int | None = None) -> Read:
    return lambda session: statement.read_page(
        session, shop.account_id, limit=LINES, before_seq=before_seq, wanted=wanted
    )


def balance_at(shop: Shop, at: datetime) -> Read:
    return lambda session: statement.balance_at(session, shop.account_id, at)


async def test_a_page_of_a_long_statement_reads_its_lines_and_nothing_else(shop: Shop) -> None:
    most = (LINES + 1) * ROWS_PER_LINE + 1
    now = clock.now()
    day = Filter(since=now - timedelta(hours=30), until=now - timedelta(hours=20))
    assert await shop.rows_read(page(shop)) <= most
    assert await shop.rows_read(page(shop, before_seq=shop.lines // 2)) <= most
    assert await shop.rows_read(page(shop, before_seq=LINES)) <= most
    assert await shop.rows_read(page(shop, Filter(direction="CREDIT"))) <= most + LINES
    assert await shop.rows_read(page(shop, day)) <= most + 10 * ROWS_PER_LINE  # and what the clocks may disagree about


async def test_the_gathered_statement_reads_the_same_few_rows(shop: Shop) -> None:
    """With the planner as its connections have it, and of tables that the planner knows little of."""
    question = written_statements._Question(shop.account_id, shop.owner_id, shop.lines, LINES + 1)

    async def ask(session: AsyncSession) -> None:
        for name, value in LOOK_UP_BY_KEY.items():
            await session.execute(text(f"SET LOCAL {name} = '{value}'"))
        await session.execute(text(_EVERY_JOIN))
        connection = (await (await session.connection()).get_raw_connection()).driver_connection
        answers = await written_statements._ask_all(connection, [question] * 3)
        assert [items.count('"balance_after"') for items, *_ in answers] == [LINES + 1] * 3

    assert await shop.rows_read(ask) <= 3 * ((LINES + 1) * ROWS_PER_LINE + 1)


@pytest.mark.parametrize(
    "wanted", [Filter(kind="payout"), Filter(search="zebra"), Filter(search="zebra", kind="payment")]
)
async def test_a_filter_that_nothing_matches_reads_a_bounded_part(
    shop: Shop, wanted: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "SCAN_LINES", 100)
    monkeypatch.setattr(statement, "SEARCH_LINES", 100)
    assert 100 <= await shop.rows_read(page(shop, wanted)) <= 100 * ROWS_PER_LINE + 1


@pytest.mark.parametrize(
    "wanted", [Filter(kind="payout"), Filter(search="zebra"), Filter(direction="CREDIT"), statement.EVERYTHING]
)
async def test_totals_of_a_long_range_are_not_added_up(shop: Shop, wanted: Filter) -> None:
    async def read(session: AsyncSession) -> None:
        assert await read_totals(session, shop.account_id, owner_id=shop.owner_id, wanted=wanted) is None

    assert await shop.rows_read(read) <= 1


async def test_totals_read_the_lines_of_their_range_once(shop: Shop) -> None:
    now = clock.now()
    day = Filter(since=now - timedelta(minutes=70), until=now - timedelta(minutes=40))
    async with shop.sessionmaker() as session:
        lines = len((await statement.read_page(session, shop.account_id, limit=2000, wanted=day)).lines)
    assert lines > 20

    def read(wanted: Filter) -> Read:
        return lambda session: read_totals(session, shop.account_id, owner_id=shop.owner_id, wanted=wanted)

    most = lines + 10  # and what the clocks may disagree about
    assert await shop.rows_read(read(day)) <= most
    assert await shop.rows_read(read(replace(day, search="zebra"))) <= most * ROWS_PER_LINE


async def test_a_balance_as_of_a_moment_reads_one_entry(shop: Shop) -> None:
    for hours in (0, 1, 20, 40):
        assert await shop.rows_read(balance_at(shop, clock.now() - timedelta(hours=hours))) == 1


async def test_a_receipt_and_what_was_refunded_read_a_few_rows(shop: Shop) -> None:
    owner, payment = shop.owner_id, shop.payment
    assert await shop.rows_read(lambda session: refunded_amounts(session, [payment])) == 1
    assert await shop.rows_read(lambda session: get_receipt(session, reader=owner, transfer_id=payment)) <= 20
    assert (
        await shop.rows_read(lambda session: get_refundable_payment(session, shop_id=owner, payment_id=payment)) <= 25
    )


async def test_a_dashboard_reads_quarters_of_an_hour_however_many_payments_they_add_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = 5
    monkeypatch.setattr("shared.inflow.rollups.QUARTER_ENTRIES", few)
    for bound in ("NEWEST_ENTRIES", "NEWEST_REFUNDS"):
        monkeypatch.setattr(f"shared.inflow.report.{bound}", few)
    quarters = DAYS * 24 * 4 + 1
    part = 2 * (few + 1)
    assert (
        await shop.rows_read(lambda session: inflow.overview(session, shop.account_id, INDIA)) <= quarters + part + 10
    )
    for preset in PRESETS:
        span = span_of(preset, calendar.today(clock.now(), INDIA))
        read = await shop.rows_read(partial(_report, shop, span))
        holders = 4 * TOP_CUSTOMERS
        assert read <= quarters + part + 2 * few + holders + few + 10, preset


async def _report(shop: Shop, span: Span, session: AsyncSession) -> Report:
    return await report(session, shop.account_id, INDIA, span)
