"""`batua find`: everything about a person, a movement, a withdrawal, an on-ramp, a UTR or a request."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.output import AsJson, as_lines, show
from shared.operators import lookups

STATEMENT_SECONDS = 60.0


def find(
    name: Annotated[
        str,
        typer.Argument(
            help="A wallet id, an email, any id of ours, a UTR or another reference of a bank, or the id of a request."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show everything of this name, no secret among it; account numbers are masked. Exit 1: nothing has it."""
    found = in_transaction(
        lambda session: lookups.find(session, name.strip()), name="batua find", statement_seconds=STATEMENT_SECONDS
    )
    if not found and not as_json:
        raise exit_with(f"Nothing is known as {name}.")
    lines = [line for each in found for line in (*as_lines(each), "")]
    show({"found": found}, lines[:-1], as_json=as_json)
    if not found:
        raise typer.Exit(1)
