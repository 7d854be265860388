"""`batua suspense`: money at a bank that no payment of ours explains, and how a debit among it ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.banks import require_known
from infra.cli.database import in_transaction
from infra.cli.freeze import Reason
from infra.cli.output import AsJson, moment, show
from infra.cli.owners import one_owner
from infra.cli.proposals import propose
from shared.banks.table import BANKS
from shared.models import OperatorAction
from shared.money import Money
from shared.operators import lookups, parked_debits, suspense

app = typer.Typer(name="suspense", help="Money at a bank that no payment explains.", no_args_is_help=True)

NAME = "batua suspense"
Debit = Annotated[str, typer.Argument(metavar="DEBIT", help="The debit's reference, or the transfer that parked it.")]
AtBank = Annotated[str | None, typer.Option("--bank", help=f"Of this bank: {' or '.join(BANKS)}.")]


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


@app.command("collect")
def collect(
    debit: Debit,
    reason: Reason,
    owner: Annotated[str | None, typer.Option(help="Whose it is, if not known here: wallet id, email or id.")] = None,
    bank: AtBank = None,
    as_json: AsJson = False,
) -> None:
    """Propose to take a debit that lies in suspense from its owner's account. Another operator confirms it."""
    if bank is not None:
        require_known(bank)

    async def work(session: AsyncSession) -> OperatorAction:
        owner_id = None if owner is None else (await one_owner(session, owner)).id
        return await parked_debits.propose_collect(session, debit, reason, bank=bank, owner_id=owner_id)

    propose(work, as_json=as_json)


@app.command("book-fee")
def book_fee(debit: Debit, reason: Reason, bank: AtBank = None, as_json: AsJson = False) -> None:
    """Propose to book a debit that lies in suspense as a fee of the bank. Another operator confirms it."""
    if bank is not None:
        require_known(bank)
    propose(lambda session: parked_debits.propose_book_fee(session, debit, reason, bank=bank), as_json=as_json)


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
