"""`batua recovery`: after the database was restored to a moment in the past, while the banks went on."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import operator
from infra.cli.database import in_transaction
from infra.cli.failures import FAILED, NOT_KNOWN, exit_with, read_settings
from infra.cli.output import AsJson, reference_column, show
from infra.local.environment import load_local_environment
from shared import clock
from shared.audit.writing import add_command
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.banks.settings import BankSettings
from shared.clock import rfc3339
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.errors import BatuaError
from shared.money import Money
from shared.recovery import commands
from shared.recovery.lacking import Lacking
from shared.recovery.settling import BankReport, Settling

app = typer.Typer(name="recovery", help="Catch up with the banks after a restore.", no_args_is_help=True)

NAME = "batua-recovery"
T = TypeVar("T")
Found = dict[str, dict[str, list[dict[str, Any]]]]
"""By bank and reference, the lines that our book lacks: direction, and amount in paise."""

BANK_TIMEOUT_SECONDS = 10.0
STATEMENT_SECONDS = 60.0
SHOWN = 20
"""References that `finish` names."""
_MOMENT = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


@app.command("begin")
def begin_command(
    restored_to: Annotated[
        datetime, typer.Option(formats=_MOMENT, help="The moment to which the database was restored, UTC.")
    ],
    as_json: AsJson = False,
) -> None:
    """Hold back payouts until the recovery is finished. Do this before a service runs on the restored database."""
    moment = restored_to.replace(tzinfo=UTC)
    if moment > clock.now():
        raise typer.BadParameter("--restored-to lies in the past")

    async def begin(session: AsyncSession) -> int:
        _, marked = await commands.begin(session, restored_to=moment)
        facts = {"restored_to": rfc3339(moment), "marked": marked}
        add_command(session, what="recovery begin", operator=operator(), facts=facts)
        return marked

    try:
        marked = in_transaction(begin, name=NAME, statement_seconds=STATEMENT_SECONDS)
    except BatuaError as error:
        raise exit_with(str(error)) from None
    told = (
        f"Restored to {rfc3339(moment)}. No payout leaves; {marked} in the queue are asked about before they are sent. "
        "Next: batua recovery settle."
    )
    show({"restored_to": moment, "marked": marked}, [told], as_json=as_json)


@app.command("settle")
def settle_command(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many references of each bank at most.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what the banks have and we lack.")] = False,
    park_unanswered: Annotated[
        bool, typer.Option("--park-unanswered", help="Park in suspense what a bank cannot or does not answer about.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Settle what the banks did since the restored moment. Exit 0: nothing is left; 1: something is; 2: not known.

    It may be repeated, and interrupted: what is settled is seen in the books.
    """
    if dry_run:
        found = _run(_look)
        show({"lacking": found}, _lacking(found), as_json=as_json)
        return
    reports = _run(lambda: _settle(limit, park_unanswered))
    if not as_json:
        _show_settled(reports)
    show({"banks": [dataclasses.asdict(report) for report in reports]}, map(_counted, reports), as_json=as_json)
    if any(report.left or report.more or report.differing for report in reports):
        raise typer.Exit(FAILED)


async def _settle(limit: int, park_unanswered: bool) -> list[BankReport]:
    async with _database() as sessionmaker, _settlings(sessionmaker) as settlings:
        return [await settling.settle(limit, park_unanswered=park_unanswered) for settling in settlings]


async def _look() -> Found:
    async with _database() as sessionmaker, _settlings(sessionmaker) as settlings:
        found: Found = {}
        for settling in settlings:
            read = await settling.look()
            found[settling.bank] = {
                reference: [{"direction": line.direction, "amount": line.bank_amount or 0} for line in lacking.lines]
                for reference, lacking in read.lacking.items()
            }
        return found


@app.command("finish")
def finish_command(as_json: AsJson = False) -> None:
    """Let payouts leave again, if every line of the banks is settled, parked or under way. Exit codes as for settle."""
    left, moment = _run(_finish)
    if left:
        raise exit_with("\n".join(_why_not_finished(left)))
    told = f"The recovery to {rfc3339(moment)} is finished: payouts leave again."
    show({"restored_to": moment}, [told], as_json=as_json)


def _why_not_finished(left: Sequence[Lacking]) -> Iterator[str]:
    """What stands in the way, and what to do about it."""
    yield f"Not finished: {len(left)} references are neither settled nor parked. Payouts are still held back."
    for lacking in left[:SHOWN]:
        for line in lacking.lines:
            ours = "" if line.our_amount is None else f", and our book has {Money(line.our_amount)}"
            yield f"{lacking.bank}  {lacking.reference}  {line.direction} {Money(line.bank_amount or 0)}{ours}"
    if any(line.kind != "amount_differs" for lacking in left for line in lacking.lines):
        yield "Run batua recovery settle."
    if any(line.kind == "amount_differs" for lacking in left for line in lacking.lines):
        yield (
            "Where the amounts differ, the bank has to take its line back and book the right one. Then run "
            "batua recovery settle: see docs/runbooks/books-differ.md."
        )


async def _finish() -> tuple[list[Lacking], datetime]:
    async with _database() as sessionmaker, _settlings(sessionmaker) as settlings:
        left = [lacking for settling in settlings for lacking in await settling.unsettled()]
        async with sessionmaker.begin() as session:
            if left:
                return left, (await commands.unfinished(session)).restored_to
            recovery = await commands.finish(session, [])
            facts = {"restored_to": rfc3339(recovery.restored_to)}
            add_command(session, what="recovery finish", operator=operator(), facts=facts)
        return left, recovery.restored_to


@asynccontextmanager
async def _database() -> AsyncIterator[SessionMaker]:
    settings = read_settings(
        DatabaseSettings, database_pool_size=1, database_statement_timeout_seconds=STATEMENT_SECONDS
    )
    engine = create_engine(settings, application_name=NAME)
    try:
        yield create_sessionmaker(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _settlings(sessionmaker: SessionMaker) -> AsyncIterator[list[Settling]]:
    banks = read_settings(BankSettings).banks
    async with sessionmaker() as session:
        restored_to = (await commands.unfinished(session)).restored_to
    clients = {code: BankClient(bank, BANK_TIMEOUT_SECONDS) for code, bank in banks.items()}
    try:
        yield [Settling(sessionmaker, client, code, restored_to, operator()) for code, client in clients.items()]
    finally:
        for client in clients.values():
            await client.aclose()


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    load_local_environment()
    try:
        return asyncio.run(work())
    except (BankFailed, Refused) as error:
        sentence = f"No statement from {error.bank}: {error.reason}. What was settled before that stays settled."
        raise exit_with(f"{sentence} Payouts are still held back: run the command again.", NOT_KNOWN) from None
    except BatuaError as error:
        raise exit_with(str(error)) from None


def _lacking(found: Found) -> Iterator[str]:
    for bank, lacking in found.items():
        for reference, lines in lacking.items():
            said = ", ".join(f"{line['direction']} {Money(line['amount'])}" for line in lines)
            yield f"{bank}  {reference}  {said}"
        yield f"{bank}: {len(lacking)} references that we lack."


def _show_settled(reports: list[BankReport]) -> None:
    table = Table("bank", reference_column(), "direction", "amount", "result", "owner or reason")
    for report in reports:
        for one in report.settled:
            why = one.reason or (str(one.owner_id) if one.owner_id else "")
            table.add_row(one.bank, one.reference, one.direction, str(Money(one.amount)), one.result, why)
    if table.row_count:
        Console().print(table)


def _counted(report: BankReport) -> str:
    results = [one.result for one in report.settled]
    counts = ", ".join(f"{results.count(result)} {result}" for result in dict.fromkeys(results)) or "nothing to settle"
    rest = f", {report.more} more for the next run" if report.more else ""
    return f"{report.bank}: {counts}{rest}; {report.under_way} lines of payments that the worker asks about."
