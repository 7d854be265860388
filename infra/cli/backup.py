"""`batua backup`: take base backups, restore a moment, and check that a restore would succeed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from infra.backup.archive import Archive
from infra.backup.check import Finding, Limits, ask_server, check
from infra.backup.restore import restore
from infra.backup.take import take
from infra.cli.audit import record_command
from infra.cli.database import in_transaction
from infra.cli.failures import NOT_KNOWN, exit_with
from infra.cli.output import AsJson, show
from infra.local.environment import load_local_environment
from shared import clock
from shared.clock import rfc3339
from shared.db.outages import DATABASE_ERRORS

app = typer.Typer(name="backup", help="Base backups and archived WAL.", no_args_is_help=True)

_MOMENT = ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S"]

ArchivePath = Annotated[Path, typer.Argument(help="The directory with base/ and wal/.", file_okay=False)]


@app.command("take")
def take_command(archive: ArchivePath, as_json: AsJson = False) -> None:
    """Take a base backup and verify it. PGHOST and the like name the server; without them it is the local stack's."""
    load_local_environment()
    record_command("backup take")
    taken = take(Archive(archive), now=clock.now())
    show({"backup": taken.name, "path": str(taken)}, [f"Taken and verified: {taken}"], as_json=as_json)


@app.command("restore")
def restore_command(
    archive: ArchivePath,
    into: Annotated[Path, typer.Option(help="The new data directory: empty, or to be made.", file_okay=False)],
    to: Annotated[
        datetime | None, typer.Option(formats=_MOMENT, help="The moment, UTC; as far as the WAL goes when not given.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long replaying may take.")] = 6 * 3600.0,
    as_json: AsJson = False,
) -> None:
    """Restore a moment into a new data directory. Before a service runs on it: batua recovery begin."""
    moment = to.replace(tzinfo=UTC) if to else None
    used = restore(Archive(archive), into, to=moment, seconds=seconds)
    reached = "the end of the archived WAL" if moment is None else rfc3339(moment)
    told = f"Restored to {reached} from {used.path.name}: start a server on {into}, then run batua recovery begin."
    show({"backup": used.path.name, "restored_to": moment, "into": str(into)}, [told], as_json=as_json)


@app.command("check")
def check_command(
    archive: ArchivePath,
    backup_age_hours: Annotated[float, typer.Option(min=0, help="How old the last base backup may be.")] = 26,
    wal_age_seconds: Annotated[float, typer.Option(min=1, help="How old what is not archived may be.")] = 300,
    no_database: Annotated[bool, typer.Option("--no-database", help="Look at the archive only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what could be restored now. Exit 0: all is well; 1: it is not; 2: it could not be checked."""
    load_local_environment()
    limits = Limits(timedelta(hours=backup_age_hours), timedelta(seconds=wal_age_seconds))
    try:
        server = None if no_database else in_transaction(ask_server, name="batua-backup", may_be_standby=True)
        finding = check(Archive(archive), server, limits, now=clock.now())
    except (*DATABASE_ERRORS, ValueError, KeyError) as error:
        raise exit_with(f"Not known: {error}".partition("\n")[0], NOT_KNOWN) from None
    show({"ok": not finding.problems, **dataclasses.asdict(finding)}, _lines(finding), as_json=as_json)
    if finding.problems:
        raise exit_with("\n".join(f"Problem: {problem}." for problem in finding.problems))


def _lines(finding: Finding) -> Iterator[str]:
    if finding.backup_at is not None:
        yield f"Last base backup: {finding.backup}, finished {rfc3339(finding.backup_at)}."
    if finding.restorable_to is not None:
        yield f"WAL is whole to {finding.last_segment}, archived {rfc3339(finding.restorable_to)}."
