"""`batua audit`: who did what, from where and when; and the line that each command leaves there."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from infra.cli.failures import exit_with, read_settings
from infra.cli.output import AsJson, show
from infra.local.environment import load_local_environment
from shared.audit import queries, writing
from shared.audit.kinds import Kind
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.db.outages import DATABASE_ERRORS
from shared.models import AuditEvent
from shared.operators.lookups import event_shown

_DAY = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def audit(
    owner: Annotated[str | None, typer.Option(help="Only of this owner: wallet id, email or id.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=queries.MAX_EVENTS, help="So many at most, the newest.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List sign-ins, failures, changed secrets, limits that were hit and operators' commands, the newest first."""
    load_local_environment()
    start = since.replace(tzinfo=UTC) if since else None
    events = asyncio.run(_find(owner, kind, start, limit))
    if events is None:
        raise exit_with(f"No owner is known as {owner}.")
    lines = [_line(event) for event in events] or ["No such event."]
    show({"events": [event_shown(event) for event in events]}, lines, as_json=as_json)


def record_command(what: str, **facts: Any) -> None:
    """Leave a line about a command that begins. When that cannot be done, it says so, and the command goes on."""
    try:
        asyncio.run(_record(what, facts))
    except OSError:
        return  # the command itself says that the database cannot be reached
    except DATABASE_ERRORS as error:
        typer.echo(f"This command is not in the audit trail: {type(error).__name__}.", err=True)


def operator() -> str:
    """Who runs this command: the user of the operating system, behind `sudo` the one who called it, and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container a user may have a number only
        user = str(os.getuid())
    before = os.environ.get("SUDO_USER")
    return f"{f'{before} as {user}' if before else user}@{socket.gethostname()}"[:200]


async def _find(owner: str | None, kind: Kind | None, since: datetime | None, limit: int) -> list[AuditEvent] | None:
    engine = create_engine(read_settings(DatabaseSettings), application_name="batua audit")
    try:
        async with create_sessionmaker(engine)() as session:
            owner_ids = None if owner is None else await queries.owners_named(session, owner)
            if owner_ids == []:
                return None
            return await queries.find(session, owner_ids=owner_ids, kind=kind, since=since, limit=limit)
    finally:
        await engine.dispose()


async def _record(what: str, facts: dict[str, Any]) -> None:
    engine = create_engine(read_settings(DatabaseSettings), application_name="batua audit")
    try:
        async with create_sessionmaker(engine).begin() as session:
            writing.add_command(session, what=what, operator=operator(), facts=facts)
    finally:
        await engine.dispose()


def _line(event: AuditEvent) -> str:
    """One line, however wide the terminal is."""
    parts = [f"{event.last_at:%Y-%m-%d %H:%M:%S} UTC", event.kind]
    if event.count > 1:
        parts.append(f"{event.count} times since {event.first_at:%Y-%m-%d %H:%M:%S}")
    named = {"": event.what, "owner": event.owner_id, "by": event.operator, "from": event.address}
    parts += [f"{name} {value}".strip() for name, value in named.items() if value is not None]
    parts += [f"{name}={value}" for name, value in event.facts.items()]
    if event.request_id is not None:
        parts.append(f"request {event.request_id}")
    return "  ".join(parts)
