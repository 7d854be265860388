"""`batua withdrawals`: look at withdrawals, put one under review, and end one that is under review."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import operator
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.freeze import Reason
from infra.cli.output import AsJson, as_lines, moment, show
from infra.cli.owners import one_owner
from infra.cli.proposals import propose
from shared.audit.writing import add_command
from shared.banks.account_numbers import masked_within
from shared.errors import BatuaError
from shared.models import ProofRun
from shared.models.withdrawal import WithdrawalStatus
from shared.money import Money
from shared.operators import effects, lookups
from shared.proof import runs
from shared.withdrawals.facts import Paid, PayoutRefused

app = typer.Typer(name="withdrawals", help="Withdrawals, and those under review.", no_args_is_help=True)

NAME = "batua withdrawals"
WithdrawalId = Annotated[UUID, typer.Argument(metavar="ID", help="The withdrawal's id, which is the bank's reference.")]
Limit = Annotated[int, typer.Option(min=1, max=lookups.MAX_LISTED, help="So many at most.")]


@app.command("list")
def list_withdrawals(
    status: Annotated[WithdrawalStatus | None, typer.Option(help="Only with this status.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only of this owner: wallet id, email or id.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List withdrawals, the newest first."""

    async def work(session: AsyncSession) -> list[dict[str, Any]]:
        owner_id = None if owner is None else (await one_owner(session, owner)).id
        return await lookups.withdrawals(session, status=status, owner_id=owner_id, limit=limit)

    found = in_transaction(work, name=NAME)
    lines = [_line(withdrawal) for withdrawal in found]
    show({"withdrawals": found}, lines or ["No such withdrawal."], as_json=as_json)


@app.command("list-review")
def list_review(as_json: AsJson = False) -> None:
    """List the withdrawals under review, the longest active first, and say whether payouts wait for the proof."""
    found, standing = in_transaction(_look, name=NAME)
    lines = [_why_payouts_wait(standing[0])] if standing else []
    lines += [_line(withdrawal) for withdrawal in found] or ["No withdrawal needs review."]
    rules = [rule for failure in standing for rule in runs.rules_of(failure)]
    show({"withdrawals": found, "payouts_wait": bool(standing), "broken_rules": rules}, lines, as_json=as_json)


@app.command("show")
def show_withdrawal(withdrawal_id: WithdrawalId, as_json: AsJson = False) -> None:
    """Show one withdrawal with its timeline, the bank's notices, and what operators did."""
    found = in_transaction(lambda session: lookups.withdrawal(session, withdrawal_id), name=NAME)
    if found is None:
        raise exit_with("No such withdrawal.")
    show(found, as_lines(found), as_json=as_json)


@app.command("park")
def park(withdrawal_id: WithdrawalId, reason: Reason, as_json: AsJson = False) -> None:
    """Put a withdrawal under review at once: nothing of it is sent, its money stays held, and the bank is asked."""
    try:
        status = in_transaction(lambda session: _park(session, withdrawal_id, reason), name=NAME)
    except BatuaError as error:
        raise exit_with(str(error)) from None
    show({"id": withdrawal_id, "status": status}, [f"{withdrawal_id} is {status}."], as_json=as_json)


@app.command("resolve")
def resolve(
    withdrawal_id: WithdrawalId,
    *,
    reason: Annotated[str, typer.Option(help="How you know. With --failed, its owner reads it.")] = "",
    paid: Annotated[bool, typer.Option("--paid", help="The bank did pay: needs --utr.")] = False,
    utr: Annotated[str | None, typer.Option(help="The bank's own number of the payout.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="The bank did not and will not pay.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose how a withdrawal under review ended, once you have asked the bank. Another operator confirms it."""
    fact = _decision(paid, utr, failed, reason)
    propose(lambda session: effects.propose_resolve(session, withdrawal_id, fact, reason), as_json=as_json)


async def _look(session: AsyncSession) -> tuple[list[dict[str, Any]], list[ProofRun]]:
    return await lookups.under_review(session), await runs.standing(session)


async def _park(session: AsyncSession, withdrawal_id: UUID, reason: str) -> WithdrawalStatus:
    facts = {"withdrawal_id": str(withdrawal_id), "reason": masked_within(reason)}
    add_command(session, what="park", operator=operator(), facts=facts)
    return await effects.park(session, withdrawal_id, reason)


def _why_payouts_wait(failure: ProofRun) -> str:
    rules = "; ".join(runs.rules_of(failure))
    return (
        f"No payout leaves: the {failure.kind} proof failed at {failure.started_at:%Y-%m-%d %H:%M} UTC ({rules}). "
        "Withdrawals wait in the queue until `batua prove` passes."
    )


def _decision(paid: bool, utr: str | None, failed: bool, reason: str) -> Paid | PayoutRefused:
    if reason and paid and utr and not failed:
        return Paid(utr)
    if reason and failed and not paid and utr is None:
        return PayoutRefused(masked_within(reason))
    raise typer.BadParameter("give --reason REASON, and either --paid --utr UTR or --failed")


def _line(withdrawal: dict[str, Any]) -> str:
    """One line, however wide the terminal is, so that the id can be copied."""
    since = f"active since {moment(withdrawal['active_since'])}" if withdrawal["active_since"] else ""
    parts = (
        withdrawal["id"],
        withdrawal["status"],
        withdrawal["bank"],
        withdrawal["account_number"],
        Money(withdrawal["amount"]),
        since,
        f"sent {withdrawal['attempts']} times",
    )
    return "  ".join(str(part) for part in parts if part)
