"""`batua archive`: put old entries into files, behind opening balances; and check those files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from infra.cli.audit import record_command
from infra.cli.failures import FAILED, exit_with, read_settings
from infra.cli.output import AsJson, as_lines, bars, show
from infra.local.environment import load_local_environment
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.errors import BatuaError
from shared.proof import archive as archiving
from shared.proof.archive_check import ArchiveReport
from shared.proof.archive_check import check as check_files
from shared.proof.prove import begin_snapshot

app = typer.Typer(name="archive", help="Put old entries into files, behind opening balances.")

STATEMENT_SECONDS = 300.0
_DAY = ["%Y-%m-%d"]


@app.callback(invoke_without_command=True)
def archive(
    context: typer.Context,
    before: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Entries sealed before this day, UTC; a year ago at least.")
    ] = None,
    to: Annotated[Path | None, typer.Option(file_okay=False, help="Where the files lie.")] = None,
    as_json: AsJson = False,
) -> None:
    """Archive entries of wallets and shops, a seal at a time. It can be interrupted and repeated.

    As the schema's owner alone, once a whole proof has passed of late. Exit 0: all are archived; 1: it is refused.
    """
    if context.invoked_subcommand is not None:
        return
    if before is None or to is None:
        raise typer.BadParameter("say --before and --to, or `batua archive check`")
    load_local_environment()
    facts = {"before": f"{before:%Y-%m-%d}", "to": str(to.resolve())}
    record_command("archive", **facts)
    console = Console(stderr=as_json, highlight=False)
    done: list[archiving.Archived] = []
    refusal: str | None = None
    try:
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        with bars(console) as progress:
            bar = progress.add_task("Seals")

            def advance(number: int, total: int) -> None:
                progress.update(bar, completed=number, total=total)

            asyncio.run(_archive(to, before.replace(tzinfo=UTC), done, advance))
    except BatuaError as error:
        refusal = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        refusal = f"{error.filename}: {error.strerror}"
    entries = sum(each.entries for each in done)
    answer = {**facts, "seals": len(done), "entries": entries, "files": [each.file_name for each in done]}
    lines = [f"{len(done)} seals archived with {entries} entries."] if done or refusal is None else []
    show(answer | {"refused": refusal}, lines, as_json=as_json)
    if refusal is not None:
        raise exit_with(refusal)


@app.command()
def check(
    directory: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the files lie.")],
    as_json: AsJson = False,
) -> None:
    """Read every file of the archive, and compare it with its seal, with its transfers and with the opening balances.

    Exit 0: they hold; 1: they do not, and what differs is named.
    """
    load_local_environment()
    record_command("archive check", directory=str(directory.resolve()))
    with bars(Console(stderr=as_json, highlight=False)) as progress:
        bar = progress.add_task("Files")

        def advance(number: int, total: int) -> None:
            progress.update(bar, completed=number, total=total)

        report = asyncio.run(_check(directory, advance))
    verdict = "The archive holds" if report.ok else "The archive does NOT hold"
    lines = [line for problem in report.problems for line in ["Differs:", *as_lines(problem, "  ")]]
    lines.append(f"{verdict}: {report.files} files with {report.entries} entries are right.")
    answer = {"ok": report.ok, "files": report.files, "entries": report.entries, "problems": report.problems}
    show(answer, lines, as_json=as_json)
    if not report.ok:
        raise typer.Exit(FAILED)


async def _archive(
    directory: Path, before: datetime, done: list[archiving.Archived], advance: Callable[[int, int], None]
) -> None:
    async with _database() as sessionmaker:
        async with sessionmaker() as session:
            await archiving.require_allowed(session, before)
            _, total = await archiving.to_archive(session, before)
        advance(0, total)
        async for archived in archiving.archive(sessionmaker, directory, before=before):
            done.append(archived)
            advance(len(done), total)


async def _check(directory: Path, advance: Callable[[int, int], None]) -> ArchiveReport:
    async with _database(may_be_standby=True) as sessionmaker, sessionmaker() as session:
        await begin_snapshot(session)
        report = await check_files(session, directory, files_done=advance)
        await session.rollback()
        return report


@asynccontextmanager
async def _database(**options: Any) -> AsyncIterator[SessionMaker]:
    settings = read_settings(
        DatabaseSettings, database_pool_size=1, database_statement_timeout_seconds=STATEMENT_SECONDS
    )
    engine = create_engine(settings, application_name="batua-archive", **options)
    try:
        yield create_sessionmaker(engine)
    finally:
        await engine.dispose()
