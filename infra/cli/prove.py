"""`batua prove`: check that the ledger holds, and that the banks agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sqlalchemy.exc import DBAPIError

from infra.cli import output
from infra.cli.audit import record_command
from infra.cli.failures import FAILED, NOT_KNOWN, SettingsWrong, exit_with, is_any_bank_configured, read_settings
from infra.cli.output import AsJson, bars
from infra.local.environment import load_local_environment
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.banks.messages import Statement, StatementItem
from shared.banks.settings import BankSettings
from shared.banks.statements import whole_statement
from shared.banks.table import BANKS
from shared.clock import now
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.proof import runs
from shared.proof.prove import CheckResult, ProofReport, Statements
from shared.proof.prove import prove as prove_ledger

STATEMENT_SECONDS = 300.0
BANK_TIMEOUT_SECONDS = 10.0
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_MAY_NOT_WRITE = ("25006", "42501")
"""SQLSTATE: read-only transaction, insufficient privilege."""
_FILE = TypeAdapter(Statement | list[StatementItem])


class _Banks:
    """Asks every bank for its whole statement, and remembers which gave none."""

    def __init__(self, settings: BankSettings) -> None:
        self._settings = settings
        self.silent: dict[str, str] = {}

    async def statements(self) -> Statements:
        found: dict[str, Sequence[StatementItem]] = {}
        for code, bank in self._settings.banks.items():
            client = BankClient(bank, BANK_TIMEOUT_SECONDS)
            try:
                found[code] = await whole_statement(client, BEGINNING, now() + timedelta(days=1))
            except (BankFailed, Refused) as error:
                self.silent[bank.name] = error.reason
            finally:
                await client.aclose()
        return found


def prove(
    bank_statement: Annotated[
        Path | None, typer.Option(help="A bank's whole statement as JSON, instead of asking the banks.", dir_okay=False)
    ] = None,
    bank: Annotated[str | None, typer.Option(help=f"Whose statement the file is: {' or '.join(BANKS)}.")] = None,
    no_bank: Annotated[bool, typer.Option("--no-bank", help="Look at our own books only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every rule of the ledger in one snapshot. Exit 0: it holds; 1: it does not; 2: it could not be checked."""
    load_local_environment()
    record_command("prove", banks="none" if no_bank else bank or "all")
    console = Console(stderr=as_json)
    given = _read_statement(bank_statement, bank)
    banks = None if given is not None or no_bank else _banks(console)
    with bars(console, description_width=16) as progress:
        report, is_recorded = asyncio.run(_prove(given, banks, progress))
    for check in report.failed:
        console.print(_table(check))
    _summarise(console, report)
    if not is_recorded:
        console.print("This run is not recorded: it neither stops payouts nor lets them go on.", soft_wrap=True)
    if as_json:
        output.show(_answer(report, is_recorded, banks), (), as_json=True)
    if not report.ok:
        raise typer.Exit(FAILED)
    if banks is not None and banks.silent:
        silent = ", ".join(f"{name} ({reason})" for name, reason in banks.silent.items())
        raise exit_with(f"No statement from {silent}: try again, or use --no-bank to leave the banks out.", NOT_KNOWN)


def _answer(report: ProofReport, is_recorded: bool, banks: _Banks | None) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "rules": len(report.checks),
        "broken": [{"rule": check.name, "rows": [_plain(row) for row in check.offenders]} for check in report.failed],
        "looked_at": dict(report.rows),
        "seconds": round(report.seconds, 3),
        "is_recorded": is_recorded,
        "silent_banks": {} if banks is None else banks.silent,
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, int | str | None) else str(value) for name, value in row.items()}


async def _prove(given: Statements | None, banks: _Banks | None, progress: Progress) -> tuple[ProofReport, bool]:
    tasks: dict[str, Any] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], completed=done, total=max(total, done))

    settings = read_settings(
        DatabaseSettings, database_pool_size=1, database_statement_timeout_seconds=STATEMENT_SECONDS
    )
    engine = create_engine(settings, application_name="batua-prove", may_be_standby=True)
    try:
        source = given if given is not None or banks is None else banks.statements
        sessionmaker = create_sessionmaker(engine)
        run = await _begin(sessionmaker)
        report = await prove_ledger(sessionmaker, statements=source, progress=show)
        if run is not None:
            await runs.finish_whole(sessionmaker, run, report)
        return report, run is not None
    finally:
        await engine.dispose()


async def _begin(sessionmaker: SessionMaker) -> runs.Recorded | None:
    """The recorded run, or None: a standby, or a role that only reads, records nothing."""
    try:
        return await runs.begin(sessionmaker, "whole")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _MAY_NOT_WRITE:
            return None
        raise


def _read_statement(path: Path | None, bank: str | None) -> Statements | None:
    if path is None:
        return None
    if bank not in BANKS:
        raise typer.BadParameter(f"say whose statement it is: --bank {' or '.join(BANKS)}")
    try:
        read = _FILE.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors(include_input=False)[0]["msg"] if isinstance(error, ValidationError) else error
        raise exit_with(f"{path} is not a statement: {reason}", NOT_KNOWN) from None
    return {bank: read.items if isinstance(read, Statement) else read}


def _banks(console: Console) -> _Banks | None:
    if not is_any_bank_configured():
        console.print("No bank is configured (BATUA_BANK_*): only our own books are looked at.")
        return None
    try:
        return _Banks(read_settings(BankSettings))
    except SettingsWrong as error:
        problems = "; ".join(error.problems)
        sentence = f"The banks' settings are missing or wrong ({problems}); use --no-bank to leave the banks out."
        raise exit_with(sentence, NOT_KNOWN) from None


def _table(check: CheckResult) -> Table:
    table = Table(title=f"Broken: {check.name}", title_justify="left", title_style="bold red")
    names = list(dict.fromkeys(name for row in check.offenders for name in row))
    for name in names:
        table.add_column(name, overflow="fold")
    for row in check.offenders:
        table.add_row(*[_cell(row, name) for name in names])
    return table


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _summarise(console: Console, report: ProofReport) -> None:
    for bank, lines in report.explained.items():
        for line in lines:
            console.print(
                f"Under way at {bank}: {line.direction} {line.amount} paise, {line.reference}: {line.reason}",
                markup=False,
                highlight=False,
            )
    rows = report.rows
    looked_at = f"{rows['accounts']} accounts, {rows['transfers']} transfers, {rows['entries']} entries"
    kept = sum(check.ok for check in report.checks)
    verdict = "The ledger holds" if report.ok else "The ledger does NOT hold"
    console.print(
        f"{verdict}: {kept} of {len(report.checks)} rules, {looked_at}, {report.seconds:.1f} s.",
        highlight=False,
        soft_wrap=True,
    )
