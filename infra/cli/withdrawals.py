"""`batua withdrawals`: list and decide the withdrawals that are under review."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.failures import exit_with, read_settings
from infra.local.environment import load_local_environment
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.errors import BatuaError
from shared.money import Money
from shared.withdrawals import commands, queries
from shared.withdrawals.facts import Paid, PayoutRefused
from shared.withdrawals.views import UnderReview

app = typer.Typer(name="withdrawals", help="Withdrawals under review.", no_args_is_help=True)

Result = TypeVar("Result")


@app.command("list-review")
def list_review_command() -> None:
    """List the withdrawals under review, the longest active first."""
    found = _in_transaction(queries.list_under_review)
    if not found:
        typer.echo("No withdrawal needs review.")
        return
    for withdrawal in found:
        typer.echo(_line(withdrawal))


@app.command("resolve")
def resolve_command(
    withdrawal_id: Annotated[UUID, typer.Argument(help="The withdrawal's id, from list-review.")],
    paid: Annotated[bool, typer.Option("--paid", help="The bank did pay: needs --utr.")] = False,
    utr: Annotated[str | None, typer.Option(help="The bank's own number of the payout.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="The bank did not and will not pay: needs --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why, in words its owner may read.")] = None,
) -> None:
    """Decide a withdrawal under review, once you have asked the bank by other means."""
    fact = _decision(paid, utr, failed, reason)
    try:
        status = _in_transaction(lambda session: commands.resolve(session, withdrawal_id=withdrawal_id, fact=fact))
    except BatuaError as error:
        raise exit_with(str(error)) from None
    typer.echo(f"{withdrawal_id} is {status}.")


def _decision(paid: bool, utr: str | None, failed: bool, reason: str | None) -> Paid | PayoutRefused:
    if paid and utr and not failed and reason is None:
        return Paid(utr)
    if failed and reason and not paid and utr is None:
        return PayoutRefused(reason)
    raise typer.BadParameter("give either --paid --utr UTR, or --failed --reason REASON")


def _line(withdrawal: UnderReview) -> str:
    """One line, however wide the terminal is, so that the id can be copied."""
    since = "" if withdrawal.active_since is None else f"active since {withdrawal.active_since:%Y-%m-%d %H:%M} UTC"
    amount, sent = Money(withdrawal.amount), f"sent {withdrawal.attempts} times"
    return f"{withdrawal.id}  {withdrawal.bank}  {withdrawal.account_number}  {amount}  {since}  {sent}"


def _in_transaction(work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        engine = create_engine(read_settings(DatabaseSettings), application_name="batua withdrawals")
        try:
            async with create_sessionmaker(engine).begin() as session:
                return await work(session)
        finally:
            await engine.dispose()

    load_local_environment()
    return asyncio.run(run())
