"""What reading costs after ten million entries, compared with a hundred thousand: `python -m bench.history`.

Builds two databases of the same shape in one Postgres of its own, proves both, and reads them in turns. QUICK=1 has a
million entries instead of ten. Needs 5 GB of disk (QUICK=1: 1 GB) and some ten minutes on two quiet cores.
"""

from __future__ import annotations

import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from bench.books import LOAD_SECONDS, load_years
from bench.figures import Quantity, Row, at_most
from bench.inflow import said
from bench.stack import started_stack
from infra.local.stack import Stack
from shared import clock
from shared.calendar import INDIA, today
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.inflow import queries as inflow
from shared.inflow.commands import roll_up_all
from shared.inflow.report import report
from shared.inflow.spans import span_of
from shared.ledger import statement
from shared.ledger.statement import Filter
from shared.migrations import runner
from shared.models import Account, Transfer
from shared.proof.prove import prove
from shared.proof.seals import seal
from shared.transfers.queries import get_refundable_payment
from shared.transfers.receipts import get_receipt
from tests.support.factories import create_merchant

SIZES = (100_000, 10_000_000)
QUICK_SIZES = (100_000, 1_000_000)
DAYS = 900
RUNS = 60
WARM_UPS = 5
PAGE = 20
SAMPLED = 200
"""So many payments and people are read, spread evenly over the whole history."""
GOAL = 1.5

Read = Callable[[AsyncSession, int], Awaitable[object]]
"""What is read in one turn; the number says where in the history."""

# Pages of tables and indexes, in memory or not. What a session counted is visible once its transaction has ended.
_PAGES = """
    SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))::bigint
    FROM pg_statio_user_tables
"""


@dataclass(slots=True)
class Side:
    """One read on one of the two databases: milliseconds and pages of each turn."""

    took_ms: list[float] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Growth:
    """What one read costs with the long history, and with the short one."""

    work: str
    long: Side
    short: Side

    @property
    def ms(self) -> tuple[float, float]:
        """Medians, of the long history first."""
        return statistics.median(self.long.took_ms), statistics.median(self.short.took_ms)

    @property
    def pages(self) -> tuple[float, float]:
        """Mean pages that Postgres touched, of the long history first. Other work on the machine changes them not."""
        return statistics.fmean(self.long.pages), statistics.fmean(self.short.pages)

    @property
    def row(self) -> Row:
        """Its line in a table of figures, references and goals."""
        long_ms, short_ms = self.ms
        return Row(self.work, Quantity(long_ms, "ms"), Quantity(short_ms, "ms", "a short history"), at_most(GOAL))


@dataclass(frozen=True, slots=True)
class Books:
    """One database, and where in it to read."""

    entries: int
    sessionmaker: SessionMaker
    shop: UUID
    shop_owner: UUID
    shop_seq: int
    payments: Sequence[UUID]
    people: Sequence[UUID]
    last: datetime

    def moment(self, turn: int) -> datetime:
        """A moment within the history; turns are far from each other."""
        return self.last - timedelta(days=DAYS) * (turn * 37 % 100 + 0.5) / 101

    def cursor(self, turn: int) -> int:
        """A line of the shop's statement, likewise."""
        return self.shop_seq * (turn * 37 % 100 + 1) // 101


def main() -> None:
    """Build, measure, print, and clean up."""
    logging.disable(logging.INFO)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="batua-bench-") as home:
        stack = started_stack(Path(home))
        try:
            show(console, measure(stack, console, is_quick=os.environ.get("QUICK") == "1"))
        finally:
            stack.stop()


def measure(stack: Stack, console: Console, *, is_quick: bool) -> list[Growth]:
    """Build both databases in the stack's Postgres, measure every read, and drop them. Raises if the proof fails."""
    return asyncio.run(_measure(stack.database_url("postgres", "postgres"), console, is_quick))


async def _measure(superuser_url: str, console: Console, is_quick: bool) -> list[Growth]:
    short_size, long_size = QUICK_SIZES if is_quick else SIZES
    async with (
        _books(superuser_url, short_size, console) as short,
        _books(superuser_url, long_size, console) as long,
    ):
        growths = [Growth(work, Side(), Side()) for work in _reads(long)]
        with said(console, f"Reading each {RUNS} times, in turns"):
            for growth in growths:
                for turn in range(-WARM_UPS, RUNS):
                    for books, side in ((short, growth.short), (long, growth.long)):
                        await _take_turn(books, growth.work, turn, side)
    return growths


async def _take_turn(books: Books, work: str, turn: int, side: Side) -> None:
    read = _reads(books)[work]
    async with books.sessionmaker() as session:
        before = await session.scalar(text(_PAGES))
        began = time.perf_counter()
        await read(session, turn)
        took = time.perf_counter() - began
        await session.execute(text("SELECT pg_stat_force_next_flush()"))
        await session.commit()
        after = await session.scalar(text(_PAGES))
    if turn >= 0:
        side.took_ms.append(took * 1000)
        side.pages.append((after or 0) - (before or 0))


def _reads(books: Books) -> dict[str, Read]:
    shop, owner = books.shop, books.shop_owner

    def page(wanted: Filter = statement.EVERYTHING) -> Read:
        return lambda session, _: statement.read_page(session, shop, limit=PAGE, wanted=wanted)

    async def month(session: AsyncSession, turn: int) -> None:
        since = books.moment(turn)
        wanted = Filter(since=since, until=since + timedelta(days=30))
        await statement.read_page(session, shop, limit=PAGE, wanted=wanted)

    async def dashboard(session: AsyncSession, _: int) -> None:
        await inflow.overview(session, shop, INDIA)
        await report(session, shop, INDIA, span_of("30-days", today(clock.now(), INDIA)))
        await statement.read_page(session, shop, limit=10, wanted=Filter(direction="CREDIT", kind="payment"))

    return {
        "statement, newest": page(),
        "statement, anywhere": lambda session, turn: statement.read_page(
            session, shop, limit=PAGE, before_seq=books.cursor(turn)
        ),
        "statement of a person": lambda session, turn: statement.read_page(
            session, books.people[turn % len(books.people)], limit=PAGE
        ),
        "statement, credits": page(Filter(direction="CREDIT")),
        "statement, debits (1 in 60)": page(Filter(direction="DEBIT")),
        "statement, refunds (1 in 60)": page(Filter(kind="refund")),
        "statement, of a kind it has none of": page(Filter(kind="payout")),
        "statement, a month": month,
        "statement, text (1 in 1000)": page(Filter(search="monsoon")),
        "statement, text it has none of": page(Filter(search="zebra")),
        "balance as of a moment": lambda session, turn: statement.balance_at(session, shop, books.moment(turn)),
        "balance of a person as of a moment": lambda session, turn: statement.balance_at(
            session, books.people[turn % len(books.people)], books.moment(turn)
        ),
        "dashboard": dashboard,
        "inflow of 30 days": lambda session, _: inflow.daily(session, owner, first=None, last=None),
        "inflow of 12 months": lambda session, _: inflow.monthly(session, owner, first=None, last=None),
        "receipt": lambda session, turn: get_receipt(
            session, reader=owner, transfer_id=books.payments[turn % len(books.payments)]
        ),
        "payment with refunds": lambda session, turn: get_refundable_payment(
            session, shop_id=owner, payment_id=books.payments[turn % len(books.payments)]
        ),
    }


@asynccontextmanager
async def _books(superuser_url: str, entries: int, console: Console) -> AsyncIterator[Books]:
    name = f"history_of_{entries}"
    url = make_url(superuser_url).set(database=name).render_as_string(hide_password=False)
    await _administer(superuser_url, f'CREATE DATABASE "{name}"')
    try:
        await asyncio.to_thread(runner.upgrade, url)
        settings = DatabaseSettings(database_url=url, database_statement_timeout_seconds=LOAD_SECONDS)
        engine = create_engine(settings, application_name="bench")
        try:
            yield await _filled(create_sessionmaker(engine), url, entries, console)
        finally:
            await engine.dispose()
    finally:
        await _administer(superuser_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def _administer(superuser_url: str, command: str) -> None:
    administrator = await asyncpg.connect(superuser_url, timeout=10, command_timeout=LOAD_SECONDS)
    try:
        await administrator.execute(command)
    finally:
        await administrator.close()


async def _filled(sessionmaker: SessionMaker, url: str, entries: int, console: Console) -> Books:
    async with sessionmaker.begin() as session:
        account = await create_merchant(session)
        shop, owner = account.id, account.owner_id
        assert owner is not None
    with said(console, f"{entries:,} entries over {DAYS} days"):
        await load_years(url, shop=shop, shop_owner=owner, entries=entries, days=DAYS)
    with said(console, "Rolling up"):
        while await roll_up_all(sessionmaker):
            pass
    # As they are in a database that has lived for years: without it, the planner knows nothing of the new rows.
    await _administer(url, "VACUUM ANALYZE")
    with said(console, "Sealing"):
        while True:
            async with sessionmaker.begin() as session:
                if await seal(session) is None:
                    break
    with said(console, "Proving"):
        report = await prove(sessionmaker)
        assert report.ok, report.failed
    return await _where_to_read(sessionmaker, entries, shop, owner)


async def _where_to_read(sessionmaker: SessionMaker, entries: int, shop: UUID, owner: UUID) -> Books:
    numbered = select(Transfer.id, func.row_number().over(order_by=Transfer.id).label("number"))
    payments = numbered.where(Transfer.kind == "payment").subquery()
    every = entries * 3 // 10 // SAMPLED
    async with sessionmaker() as session:
        account = await session.get_one(Account, shop)
        sampled = select(payments.c.id).where(payments.c.number % every == 0).limit(SAMPLED)
        people = select(Account.id).where(Account.kind == "wallet").limit(SAMPLED)
        return Books(
            entries=entries,
            sessionmaker=sessionmaker,
            shop=shop,
            shop_owner=owner,
            shop_seq=account.seq,
            payments=list(await session.scalars(sampled)),
            people=list(await session.scalars(people)),
            last=clock.now(),
        )


def show(console: Console, growths: Sequence[Growth]) -> None:
    """Print one line per read."""
    table = Table("read", "ms", "ms, short", "ratio", "pages", "pages, short")
    for growth in growths:
        row, pages = growth.row, [f"{number:,.0f}" for number in growth.pages]
        times = [f"{number:.2f}" for number in growth.ms]
        table.add_row(row.work, *times, f"{row.ratio:.2f}", *pages, style="" if row.is_met else "bold")
    console.print(table)
    console.print(
        f"Wanted: a ratio of at most {GOAL}. Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )


if __name__ == "__main__":
    main()
