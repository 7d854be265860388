"""What operators do by hand. What only stops money is done at once; what lets money move, or says what became of it,
one operator proposes and another confirms.

The database holds them to it: triggers write who and when, and let an operator's role change only what an action says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.account_numbers import masked_within
from shared.ids import new_id
from shared.models import OperatorAction
from shared.models.operator_action import Action, Decision
from shared.operators.errors import NotAnOperator, OwnProposal, ProposalDecided, ProposalNotFound

MAX_LISTED = 200
MAX_REASON_LENGTH = 500


class State(StrEnum):
    """Where an action stands."""

    OPEN = "open"
    """It waits for another operator."""
    DONE = "done"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom the command has signed in to the database."""

    role: str
    is_operator: bool


async def caller(session: AsyncSession) -> Caller:
    """Who asks, as Postgres has it."""
    role, is_operator = (await session.execute(text("SELECT session_user::text, is_operator()"))).one()
    return Caller(role, is_operator)


async def record(
    session: AsyncSession, action: Action, *, subject_id: UUID, reason: str, arguments: Mapping[str, Any] | None = None
) -> OperatorAction:
    """Record what is done now, or propose what another operator has to confirm. Raises NotAnOperator for a proposal."""
    who = await caller(session)
    if action.needs_another_operator and not who.is_operator:
        raise NotAnOperator(who.role)
    statement = insert(OperatorAction).values(
        id=new_id(),
        action=action,
        subject_id=subject_id,
        arguments=dict(arguments or {}),
        reason=masked_within(reason)[:MAX_REASON_LENGTH],
        proposed_by=who.role,
        proposed_at=clock.now(),
    )
    return (await session.scalars(statement.returning(OperatorAction))).one()


async def begin_confirmed(session: AsyncSession, action_id: UUID) -> OperatorAction:
    """Confirm a proposal: the rest of this transaction carries it out, and only it.

    Raises ProposalNotFound, ProposalDecided, NotAnOperator, OwnProposal.
    """
    action = await _open(session, action_id)
    who = await caller(session)
    if not who.is_operator:
        raise NotAnOperator(who.role)
    if action.proposed_by == who.role:
        raise OwnProposal(action.proposed_by)
    return await _updated(session, action_id, decision=Decision.CONFIRMED)


async def decline(session: AsyncSession, action_id: UUID) -> OperatorAction:
    """End a proposal undone; who proposed it may do that too.

    Raises ProposalNotFound, ProposalDecided, NotAnOperator.
    """
    await _open(session, action_id)
    who = await caller(session)
    if not who.is_operator:
        raise NotAnOperator(who.role)
    return await _updated(session, action_id, decision=Decision.DECLINED)


async def finish(session: AsyncSession, action: OperatorAction, outcome: str) -> OperatorAction:
    """Record what came of an action, in the transaction that carries it out."""
    return await _updated(session, action.id, outcome=outcome)


async def get(session: AsyncSession, action_id: UUID) -> OperatorAction:
    """One action. Raises ProposalNotFound."""
    found = await session.get(OperatorAction, action_id)
    if found is None:
        raise ProposalNotFound
    return found


async def list_open(session: AsyncSession) -> list[OperatorAction]:
    """The proposals that wait for another operator, the oldest first; at most MAX_LISTED."""
    statement = select(OperatorAction).where(OperatorAction.decision.is_(None), OperatorAction.expires_at > func.now())
    return list(await session.scalars(statement.order_by(OperatorAction.id).limit(MAX_LISTED)))


async def list_newest(session: AsyncSession, limit: int = MAX_LISTED) -> list[OperatorAction]:
    """The newest actions, whatever became of them."""
    statement = select(OperatorAction).order_by(OperatorAction.id.desc()).limit(min(limit, MAX_LISTED))
    return list(await session.scalars(statement))


async def about(session: AsyncSession, subject_id: UUID) -> list[OperatorAction]:
    """What operators did to one owner, withdrawal or delivery, the newest first; at most MAX_LISTED."""
    statement = select(OperatorAction).where(OperatorAction.subject_id == subject_id)
    return list(await session.scalars(statement.order_by(OperatorAction.id.desc()).limit(MAX_LISTED)))


def state_of(action: OperatorAction) -> State:
    """Where it stands now."""
    if action.done_in is not None:
        return State.DONE
    if action.decision is not None:
        return State.DECLINED
    return State.EXPIRED if action.expires_at is not None and action.expires_at <= clock.now() else State.OPEN


async def _open(session: AsyncSession, action_id: UUID) -> OperatorAction:
    """The proposal, locked. Raises ProposalNotFound, ProposalDecided."""
    statement = select(OperatorAction).where(OperatorAction.id == action_id).with_for_update()
    action = (await session.scalars(statement.execution_options(populate_existing=True))).one_or_none()
    if action is None:
        raise ProposalNotFound
    if state_of(action) is not State.OPEN:
        raise ProposalDecided(state_of(action))
    return action


async def _updated(session: AsyncSession, action_id: UUID, **values: Any) -> OperatorAction:
    """The row as the triggers left it."""
    statement = update(OperatorAction).where(OperatorAction.id == action_id).values(**values).returning(OperatorAction)
    options = {"populate_existing": True, "synchronize_session": False}
    return (await session.scalars(statement.execution_options(**options))).one()
