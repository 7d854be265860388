"""What a shop's dashboard costs after 10,000 payments and after 1,000,000, side by side: `make bench-inflow`.

Builds its own data in its own Postgres, measures, prints, and cleans up. It judges nothing and fails on no number:
how long things take is the machine's affair. What it does insist on is that the reports are right and the books proven.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.books import BUYERS, RICH, load_payments
from bench.stack import started_stack
from infra.local.stack import Stack
from shared import calendar, clock
from shared.calendar import INDIA, Month
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.inflow import queries
from shared.inflow.commands import roll_up_all
from shared.inflow.ranges import MAX_MONTHS
from shared.inflow.report import report
from shared.inflow.spans import span_of
from shared.inflow.views import Inflow
from shared.ledger import statement
from shared.ledger.post import post
from shared.ledger.rules import Transfer
from shared.models import Transfer as TransferRow
from shared.proof.prove import prove
from tests.support.apps import RunningApp, Signed, merchant_app_settings, running
from tests.support.factories import create_user

TARGET_P95_MS = 50.0
TARGET_RATIO = 2.0
WARM_UPS = 10
TAIL = 100
"""Payments since the last roll-up: what comes in at a busy shop within its ten seconds."""
NEWEST = 20

Read = Callable[[], Awaitable[None]]


@dataclass
class Shop:
    """One of the two, and how long each read of its dashboard took, in milliseconds."""

    payments: int
    signed: Signed
    account_id: UUID
    took: dict[str, list[float]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=10_000, help="payments of the one shop")
    parser.add_argument("--large", type=int, default=1_000_000, help="payments of the other")
    parser.add_argument("--days", type=int, default=120, help="how many days they are spread over")
    parser.add_argument("--runs", type=int, default=200, help="measured runs per shop")
    chosen = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="batua-bench-") as home:
        stack = started_stack(Path(home))
        try:
            stack.migrate()
            asyncio.run(bench(stack, chosen, console))
        finally:
            stack.stop()


async def bench(stack: Stack, chosen: argparse.Namespace, console: Console) -> None:
    async with AsyncExitStack() as cleanup:
        settings = merchant_app_settings(stack.database_url(), stack.environment()["BATUA_REDIS_URL"])
        app = await cleanup.enter_async_context(running(settings))
        logging.disable(logging.INFO)  # a line per request would be most of what one sees
        shops = []
        for payments in (chosen.small, chosen.large):
            with said(console, f"A shop with {payments:,} payments over {chosen.days} days"):
                shops.append(await build(app, stack.database_url("postgres"), payments, chosen.days))
        with said(console, "Rolling up"):
            while await roll_up_all(app.sessionmaker):
                pass
        for shop in shops:
            await add_tail(app.sessionmaker, shop)
            await check(app.sessionmaker, shop)
        with said(console, "Proving the books"):
            report = await prove(app.sessionmaker)
            assert report.ok, report.failed
        with said(console, f"Measuring {chosen.runs} runs of each, in turns"):
            await measure(app, shops, chosen.runs)
    show(console, *shops)


@contextmanager
def said(console: Console, what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    began = time.monotonic()
    with console.status(what):
        yield
    console.print(f"{what}: {time.monotonic() - began:.1f} s")


async def build(app: RunningApp, superuser_url: str, payments: int, days: int) -> Shop:
    signed = await app.shop(f"Shop of {payments}")
    account_id = UUID((await signed.wallet())["account_id"])
    async with app.sessionmaker.begin() as session:
        buyers = [(await create_user(session, balance=RICH)).id for _ in range(BUYERS)]
    await load_payments(superuser_url, shop=account_id, buyers=buyers, payments=payments - TAIL, days=days)
    return Shop(payments, signed, account_id)


async def add_tail(sessionmaker: SessionMaker, shop: Shop) -> None:
    async with sessionmaker.begin() as session:
        buyer = await create_user(session, balance=RICH)
        await post(session, [Transfer(new_id(), "payment", buyer.id, shop.account_id, 100 + n) for n in range(TAIL)])


async def check(sessionmaker: SessionMaker, shop: Shop) -> None:
    """The reports' totals are the ledger's."""
    async with sessionmaker() as session:
        this_month = Month.of(clock.now().date())
        first, last = this_month.plus(2 - MAX_MONTHS), this_month.plus(1)
        monthly = await queries.monthly(session, shop.signed.id, first=first, last=last)
        paid = select(func.sum(TransferRow.amount), func.count()).where(TransferRow.kind == "payment")
        row = (await session.execute(paid.where(TransferRow.credit_account_id == shop.account_id))).one()
    shown = sum((inflow for _, inflow in monthly.items), Inflow())
    assert (shown.amount, shown.count) == (int(row[0]), row[1]), "the reports are not what the ledger says"
    assert shown.count == shop.payments


async def measure(app: RunningApp, shops: list[Shop], runs: int) -> None:
    """In turns, so that whatever else the machine does meanwhile befalls both."""
    for run in range(-WARM_UPS, runs):
        for shop in shops:
            reads = {**flow_reads(app, shop), "GET / (the page)": page_read(app, shop)}
            for name, read in reads.items():
                began = time.perf_counter()
                await read()
                if run >= 0:
                    shop.took.setdefault(name, []).append((time.perf_counter() - began) * 1000)


def flow_reads(app: RunningApp, shop: Shop) -> dict[str, Read]:
    """What the dashboard reads: apart, and together as the page does."""

    def of(work: Callable[[AsyncSession], Awaitable[object]]) -> Read:
        async def read() -> None:
            async with app.sessionmaker() as session:
                await work(session)

        return read

    async def everything(session: AsyncSession) -> None:
        today = calendar.today(clock.now(), INDIA)
        await queries.overview(session, shop.account_id, INDIA)
        await report(session, shop.account_id, INDIA, span_of("30-days", today))
        await statement.read_page(session, shop.account_id, limit=NEWEST)

    owner = shop.signed.id
    return {
        "summary": of(lambda session: queries.summary(session, owner)),
        "30 days": of(lambda session: queries.daily(session, owner, first=None, last=None)),
        "12 months": of(lambda session: queries.monthly(session, owner, first=None, last=None)),
        f"newest {NEWEST}": of(lambda session: statement.read_page(session, shop.account_id, limit=NEWEST)),
        "all of these at once": of(everything),
    }


def page_read(app: RunningApp, shop: Shop) -> Read:
    """The page itself, through the application but without a network."""

    async def read() -> None:
        headers = {"Authorization": f"Bearer {shop.signed.token}", "Accept": "text/html"}
        answer = await app.client.get("/", headers=headers)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert answer.headers["content-type"].startswith("text/html")

    return read


def show(console: Console, small: Shop, large: Shop) -> None:
    table = Table("milliseconds", *[f"{shop.payments:,} {p}" for shop in (small, large) for p in ("p50", "p95")])
    table.add_column("ratio of p95", justify="right")
    for name in large.took:
        numbers = [*percentiles(small.took[name]), *percentiles(large.took[name])]
        ratio = numbers[3] / numbers[1]
        table.add_row(name, *[f"{number:.2f}" for number in numbers], f"{ratio:.2f}")
    console.print(table)
    console.print(
        f"Wanted: at most {TARGET_P95_MS:.0f} ms p95 with {large.payments:,} payments, and at most "
        f"{TARGET_RATIO:.0f} times what it is with {small.payments:,}."
    )
    busy = os.getloadavg()[0]
    console.print(f"Measured at {clock.now():%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores, load average {busy:.1f}.")


def percentiles(took: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    cuts = statistics.quantiles(took, n=20, method="inclusive")
    return statistics.median(took), cuts[18]


if __name__ == "__main__":
    main()
