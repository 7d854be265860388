"""What each action does, in the transaction that records it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.notices import PaymentNotice, PayoutNotice
from shared.ledger import freezing
from shared.models import Account, OperatorAction, WebhookDelivery, Withdrawal
from shared.models.operator_action import ENDED_ONCE, Action
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.on_ramps.settlement import settle
from shared.operators import actions, parked_debits
from shared.operators.errors import DeliveryDone, DeliveryNotFound, NotFrozen, ParkedDebitEnded
from shared.withdrawals import commands
from shared.withdrawals.errors import NotUnderReview, WithdrawalNotFound
from shared.withdrawals.facts import Paid, PayoutRefused
from shared.withdrawals.notices import apply_payout_notice

_DONE = (Verdict.SETTLED, Verdict.DUPLICATE)


async def freeze(session: AsyncSession, owner_id: UUID, reason: str) -> list[Account]:
    """Freeze the owner at once. Raises OwnerNotFound, PlatformsOwnUser."""
    action = await actions.record(session, Action.FREEZE, subject_id=owner_id, reason=reason)
    accounts = await freezing.freeze(session, owner_id)
    await actions.finish(session, action, "frozen")
    return accounts


async def park(session: AsyncSession, withdrawal_id: UUID, reason: str) -> WithdrawalStatus:
    """Put a withdrawal under review at once. Raises what `commands.park` raises."""
    action = await actions.record(session, Action.PARK, subject_id=withdrawal_id, reason=reason)
    status = await commands.park(session, withdrawal_id=withdrawal_id)
    await actions.finish(session, action, status)
    return status


async def propose_unfreeze(session: AsyncSession, owner_id: UUID, reason: str) -> OperatorAction:
    """Propose to let money leave again. Raises NotFrozen, NotAnOperator."""
    frozen = select(Account.id).where(Account.owner_id == owner_id, Account.frozen_at.is_not(None)).limit(1)
    if await session.scalar(frozen) is None:
        raise NotFrozen
    return await actions.record(session, Action.UNFREEZE, subject_id=owner_id, reason=reason)


async def propose_resolve(
    session: AsyncSession, withdrawal_id: UUID, fact: Paid | PayoutRefused, reason: str
) -> OperatorAction:
    """Propose how a withdrawal under review ended. Raises WithdrawalNotFound, NotUnderReview, NotAnOperator."""
    status = await session.scalar(select(Withdrawal.status).where(Withdrawal.id == withdrawal_id))
    if status is None:
        raise WithdrawalNotFound
    if status is not WithdrawalStatus.NEEDS_REVIEW:
        raise NotUnderReview(status)
    arguments = {"decision": "paid", "utr": fact.utr} if isinstance(fact, Paid) else {"decision": "failed"}
    return await actions.record(session, Action.RESOLVE, subject_id=withdrawal_id, reason=reason, arguments=arguments)


async def propose_replay(session: AsyncSession, delivery_id: UUID, reason: str) -> OperatorAction:
    """Propose to judge a delivery again. Raises DeliveryNotFound, DeliveryDone, NotAnOperator."""
    verdict = await session.scalar(select(WebhookDelivery.verdict).where(WebhookDelivery.id == delivery_id))
    if verdict is None:
        raise DeliveryNotFound
    if verdict in _DONE:
        raise DeliveryDone(verdict)
    return await actions.record(session, Action.REPLAY, subject_id=delivery_id, reason=reason)


async def confirm(session: AsyncSession, action_id: UUID) -> OperatorAction:
    """Confirm another operator's proposal and carry it out, both or neither.

    Raises what `actions.begin_confirmed` raises, and what carrying it out raises: then it stays open.
    """
    try:
        action = await actions.begin_confirmed(session, action_id)
    except IntegrityError as error:
        if ENDED_ONCE in str(error.orig):
            raise ParkedDebitEnded from None
        raise
    match action.action:
        case Action.UNFREEZE:
            await freezing.unfreeze(session, action.subject_id)
            outcome = "unfrozen"
        case Action.RESOLVE:
            fact = _fact_of(action)
            outcome = await commands.resolve(session, withdrawal_id=action.subject_id, fact=fact)
        case Action.REPLAY:
            outcome = await _replay(session, action.subject_id)
        case Action.COLLECT | Action.BOOK_FEE:
            outcome = await parked_debits.end(session, action)
        case Action.FREEZE | Action.PARK:
            raise AssertionError("these are never proposed")
    return await actions.finish(session, action, outcome)


def _fact_of(action: OperatorAction) -> Paid | PayoutRefused:
    if action.arguments["decision"] == "paid":
        return Paid(action.arguments["utr"])
    return PayoutRefused(action.reason)


async def _replay(session: AsyncSession, delivery_id: UUID) -> str:
    """Judge it as if it came now. Lock order: the row of the inbox, the flow's own row, accounts."""
    statement = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id).with_for_update()
    delivery = (await session.scalars(statement)).one()
    if delivery.verdict in _DONE:
        raise DeliveryDone(delivery.verdict)
    if "token" in delivery.payload:
        payment = await settle(session, PaymentNotice(**delivery.payload))
        delivery.verdict, delivery.on_ramp_id = payment.verdict, payment.on_ramp_id
    else:
        payout = await apply_payout_notice(session, PayoutNotice(**delivery.payload))
        delivery.verdict, delivery.withdrawal_id = payout.verdict, payout.withdrawal_id
    await session.flush()
    return delivery.verdict
