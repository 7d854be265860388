"""`batua proposals`: what one operator has proposed, and another confirms or declines."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import operator
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with
from infra.cli.output import AsJson, moment, show
from shared.audit.writing import add_command
from shared.errors import BatuaError
from shared.models import OperatorAction
from shared.models.operator_action import Action
from shared.money import Money
from shared.operators import actions, effects

app = typer.Typer(name="proposals", help="What another operator has to confirm.", no_args_is_help=True)

NAME = "batua proposals"
ProposalId = Annotated[UUID, typer.Argument(metavar="ID", help="The proposal's id.")]
_WORDS = {
    Action.FREEZE: "freeze owner {subject}",
    Action.UNFREEZE: "unfreeze owner {subject}",
    Action.PARK: "put withdrawal {subject} under review",
    Action.RESOLVE: "end withdrawal {subject} as {decision}",
    Action.REPLAY: "judge delivery {subject} again",
    Action.COLLECT: "collect {amount} of {reference} at {bank} from {wallet_id}",
    Action.BOOK_FEE: "book {amount} of {reference} as a fee of {bank}",
}


@app.command("list")
def list_proposals(
    every: Annotated[bool, typer.Option("--all", help="Also what is decided or expired, the newest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the proposals that wait for another operator, the oldest first."""
    found = in_transaction(actions.list_newest if every else actions.list_open, name=NAME)
    lines = [line(action) for action in found]
    show({"proposals": [shown(action) for action in found]}, lines or ["No proposal waits."], as_json=as_json)


@app.command("show")
def show_proposal(proposal_id: ProposalId, as_json: AsJson = False) -> None:
    """Show one proposal in full."""
    action = _of(lambda session: actions.get(session, proposal_id))
    show(shown(action), details(action), as_json=as_json)


@app.command("confirm")
def confirm(
    proposal_id: ProposalId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask once more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Confirm what another operator has proposed: it is carried out at once, or not at all."""
    if not yes:
        for each in details(_of(lambda session: actions.get(session, proposal_id))):
            typer.echo(each, err=True)
        typer.confirm("Carry it out?", abort=True, err=True)
    action = _of(lambda session: _confirm(session, proposal_id))
    show(shown(action), [f"Done: {words(action)}. It is {action.outcome}."], as_json=as_json)


@app.command("decline")
def decline(proposal_id: ProposalId, as_json: AsJson = False) -> None:
    """End a proposal undone. Who proposed it may do that too."""
    action = _of(lambda session: _decline(session, proposal_id))
    show(shown(action), [f"Declined: {words(action)}."], as_json=as_json)


def propose(work: Any, *, as_json: bool) -> None:
    """Run what proposes an action, and say how another operator confirms it."""

    async def proposed(session: AsyncSession) -> OperatorAction:
        action: OperatorAction = await work(session)
        _leave_line(session, "propose", action)
        return action

    action = _of(proposed)
    lines = [
        f"Proposed: {words(action)}. Nothing has changed yet.",
        f"Another operator confirms it until {moment(action.expires_at)}: batua proposals confirm {action.id}",
    ]
    show(shown(action), lines, as_json=as_json)


def words(action: OperatorAction) -> str:
    """What it does, in a few words."""
    return _WORDS[action.action].format_map(defaultdict(str, _readable(action)) | {"subject": action.subject_id})


def line(action: OperatorAction) -> str:
    """One line, however wide the terminal is."""
    until = f"  until {moment(action.expires_at)}" if actions.state_of(action) is actions.State.OPEN else ""
    decided = f"  by {action.decided_by}" if action.decided_by else ""
    return f"{action.id}  {actions.state_of(action)}{decided}  {words(action)}  proposed by {action.proposed_by}{until}"


def details(action: OperatorAction) -> list[str]:
    """All of it, for the operator who decides."""
    said = {
        "proposal": action.id,
        "what": words(action),
        **{name.replace("_", " "): value for name, value in _readable(action).items() if value is not None},
        "reason": action.reason,
        "proposed": f"by {action.proposed_by}, {moment(action.proposed_at)}",
        "state": actions.state_of(action),
    }
    if action.expires_at is not None:
        said["expires"] = moment(action.expires_at)
    if action.decided_by is not None:
        said["decided"] = f"{action.decision} by {action.decided_by}, {moment(action.decided_at)}"
    if action.outcome is not None:
        said["outcome"] = action.outcome
    return [f"{name + ':':<10} {value}" for name, value in said.items()]


def shown(action: OperatorAction) -> dict[str, Any]:
    """The action as JSON."""
    return {
        "id": action.id,
        "action": action.action,
        "subject_id": action.subject_id,
        "arguments": action.arguments,
        "reason": action.reason,
        "state": actions.state_of(action),
        "proposed_by": action.proposed_by,
        "proposed_at": action.proposed_at,
        "expires_at": action.expires_at,
        "decided_by": action.decided_by,
        "decided_at": action.decided_at,
        "outcome": action.outcome,
    }


def _readable(action: OperatorAction) -> dict[str, Any]:
    """What the action says, with amounts in rupees."""
    return {name: Money(value) if name == "amount" else value for name, value in action.arguments.items()}


async def _confirm(session: AsyncSession, proposal_id: UUID) -> OperatorAction:
    action = await effects.confirm(session, proposal_id)
    _leave_line(session, "confirm", action, proposed_by=action.proposed_by, outcome=action.outcome)
    return action


async def _decline(session: AsyncSession, proposal_id: UUID) -> OperatorAction:
    action = await actions.decline(session, proposal_id)
    _leave_line(session, "decline", action, proposed_by=action.proposed_by)
    return action


def _leave_line(session: AsyncSession, verb: str, action: OperatorAction, **more: Any) -> None:
    """In the audit trail, in the same transaction."""
    about = {"proposal": str(action.id), "subject": str(action.subject_id)}
    facts = about | action.arguments | {"reason": action.reason} | more
    owner_id = action.subject_id if action.action is Action.UNFREEZE else None
    if action.action is Action.COLLECT:
        owner_id = UUID(action.arguments["owner_id"])
    add_command(session, what=f"{verb} {action.action}", operator=operator(), facts=facts, owner_id=owner_id)


def _of(work: Any) -> OperatorAction:
    try:
        action: OperatorAction = in_transaction(work, name=NAME)
    except BatuaError as error:
        raise exit_with(str(error)) from None
    return action
