"""`batua reconcile`: file every difference between a bank's book and ours."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.audit import record_command
from infra.cli.banks import require_known
from infra.cli.failures import FAILED, NOT_KNOWN, exit_with, read_settings
from infra.cli.output import AsJson, reference_column, show
from infra.local.environment import load_local_environment
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.banks.settings import BankSettings
from shared.banks.table import BANKS
from shared.clock import now
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.money import Money
from shared.reconciliation.reconcile import Report, reconcile_bank

BANK_TIMEOUT_SECONDS = 10.0
STATEMENT_SECONDS = 60.0
USUAL_RANGE = timedelta(days=2)
_DAY = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def reconcile(
    bank: Annotated[str, typer.Option(help=f"Which bank: {' or '.join(BANKS)}.")],
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="UTC; two days ago when not given.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="UTC; now when not given.")] = None,
    grace_seconds: Annotated[int, typer.Option(min=0, help="Leave lines younger than this alone.")] = 600,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare the bank's statement with our on-ramps and payouts. Exit 0: equal; 1: they differ; 2: not known."""
    require_known(bank)
    load_local_environment()
    end = until.replace(tzinfo=UTC) if until else now()
    start = since.replace(tzinfo=UTC) if since else end - USUAL_RANGE
    if start >= end:
        raise typer.BadParameter("--since must lie before --until")
    record_command("reconcile", bank=bank, since=f"{start:%Y-%m-%dT%H:%M:%S}", until=f"{end:%Y-%m-%dT%H:%M:%S}")
    try:
        report = asyncio.run(_reconcile(bank, start, end, timedelta(seconds=grace_seconds)))
    except (BankFailed, Refused) as error:
        raise exit_with(f"No statement from {bank}: {error.reason}. Nothing was changed.", NOT_KNOWN) from None
    if as_json:
        show(asdict(report) | {"ok": report.ok}, (), as_json=True)
    else:
        _show(report)
    if not report.ok:
        raise typer.Exit(FAILED)


async def _reconcile(bank: str, since: datetime, until: datetime, grace: timedelta) -> Report:
    database = read_settings(
        DatabaseSettings, database_pool_size=1, database_statement_timeout_seconds=STATEMENT_SECONDS
    )
    banks = read_settings(BankSettings)
    engine = create_engine(database, application_name="batua-reconcile")
    client = BankClient(banks.banks[bank], BANK_TIMEOUT_SECONDS)
    try:
        sessionmaker = create_sessionmaker(engine)
        return await reconcile_bank(sessionmaker, client, bank, since=since, until=until, grace=grace)
    finally:
        await client.aclose()
        await engine.dispose()


def _show(report: Report) -> None:
    console = Console()
    if report.differences:
        table = Table("kind", reference_column(), "direction", "ours", "bank's", "at")
        for found in report.differences:
            amounts = ["" if paise is None else str(Money(paise)) for paise in (found.our_amount, found.bank_amount)]
            table.add_row(found.kind, found.reference, found.direction, *amounts, f"{found.at:%Y-%m-%d %H:%M:%S}")
        console.print(table)
    typer.echo(
        f"{report.bank}: {report.matched} lines match, {len(report.differences)} differences "
        f"({report.filed} new, {report.resolved} resolved), {Money(report.parked)} parked in suspense, "
        f"{Money(report.unparked)} taken back from it."
    )
