"""`batua suspense`: money at a bank that no payment of ours explains."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer

from infra.cli.banks import require_known
from infra.cli.database import in_transaction
from infra.cli.output import AsJson, moment, show
from shared.banks.table import BANKS
from shared.money import Money
from shared.operators import lookups, suspense

app = typer.Typer(name="suspense", help="Money at a bank that no payment explains.", no_args_is_help=True)

NAME = "batua suspense"


@app.callback()
def _group() -> None:
    """Make this a group, though it has one command."""


@app.command("list")
def list_suspense(
    bank: Annotated[str | None, typer.Option(help=f"Only of this bank: {' or '.join(BANKS)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=lookups.MAX_LISTED, help="So many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what lies in suspense, reference by reference, the oldest first. CREDIT came in to us, DEBIT left."""
    if bank is not None:
        require_known(bank)
    found = in_transaction(lambda session: suspense.suspense(session, bank=bank, limit=limit), name=NAME)
    answer = dataclasses.asdict(found) | {"balance": found.came_in - found.left}
    show(answer, _lines(found), as_json=as_json)


def _lines(found: suspense.Suspense) -> Iterator[str]:
    """One line for each item, however wide the terminal is, so that the reference can be copied."""
    for item in found.items:
        whose = item.wallet_id or item.owner_id or "whose is not known"
        parts = (item.reference, item.bank, item.direction, Money(item.amount), moment(item.at), whose, item.why)
        yield "  ".join(str(part) for part in parts if part)
    more = found.count - len(found.items)
    shown = f", {more} of them not shown" if more else ""
    yield (
        f"{found.count} references{shown}: {Money(found.came_in)} came in, {Money(found.left)} left."
        if found.count
        else "Nothing lies in suspense."
    )
