"""`batua find`: everything about a person, a movement, a withdrawal, an on-ramp, a UTR, a request or a trace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.output import AsJson, as_lines, moment, show
from shared import clock
from shared.operators import lookups, traces

STATEMENT_SECONDS = 60.0


def find(
    name: Annotated[
        str,
        typer.Argument(
            help="A wallet id, an email, any id of ours, a UTR or another reference of a bank, the id of a request, or "
            "of a trace."
        ),
    ],
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
            help="UTC. What has no index is looked for from then on: a trace, a UTR or another reference, a request. "
            f"Not given: a name that may be a trace {traces.SEARCHED.days} days back, others from the beginning.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show everything of this name, no secret among it; account numbers are masked. Exit 1: nothing has it."""
    name = name.strip()
    trace_id = traces.trace_named(name)
    start = since.replace(tzinfo=UTC) if since else None
    if trace_id is not None:
        start = start or clock.now() - traces.SEARCHED

    async def look(session: AsyncSession) -> list[lookups.Found]:
        found = await lookups.find(session, name, since=start)
        return found if trace_id is None or start is None else [*found, *await traces.find(session, trace_id, start)]

    found = in_transaction(look, name="batua find", statement_seconds=STATEMENT_SECONDS)
    searched = [] if start is None else [_searched(start, is_trace=trace_id is not None)]
    if not found and not as_json:
        raise exit_with(" ".join([f"Nothing is known as {name}.", *searched]))
    lines = [line for each in found for line in (*as_lines(each), "")]
    answer: dict[str, Any] = {"found": found} if start is None else {"found": found, "since": start}
    show(answer, [*lines, *searched] if searched else lines[:-1], as_json=as_json)
    if not found:
        raise typer.Exit(1)


def _searched(since: datetime, *, is_trace: bool) -> str:
    sentences = [f"UTRs, references of banks, requests and traces were looked for since {moment(since)}."]
    sentences += ["Give --since to go further back."]
    sentences += ["A transfer carries no trace: the log lines of the trace name it."] if is_trace else []
    return " ".join(sentences)
