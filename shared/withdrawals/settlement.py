"""Writing a step down: the row, its money, its timeline and its mail, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import CaptureHold, ReleaseHold, Transfer
from shared.models import Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.outbox.messages import Message, write
from shared.withdrawals import timeline
from shared.withdrawals.states import Conclusion, MoneyMove, Step, TurnedDown, judge
from shared.withdrawals.views import mask

_logger = logging.getLogger(__name__)

MAX_REASON_LENGTH = 200


async def apply_step(session: AsyncSession, withdrawal: Withdrawal, step: Step) -> None:
    """Take `step` with a locked withdrawal, giving up whoever's lease. Raises what the ledger raises."""
    made = await _move_money(session, withdrawal, step.money)
    # All at once: a row that is half changed breaks its own constraints as soon as it is written.
    withdrawal.transfer_id, withdrawal.reversal_transfer_id = made
    withdrawal.status = step.status
    withdrawal.lease_id = withdrawal.lease_expires_at = None
    withdrawal.next_attempt_at = step.next_attempt_at
    withdrawal.retries = step.retries
    withdrawal.first_not_found_at = step.first_not_found_at
    if step.status.is_final:
        _note_the_end(withdrawal, step)
    await session.flush()
    if step.is_told:
        await timeline.append(session, withdrawal.id, status=step.status, kind=step.kind, facts=step.facts)
    if step.status.is_final:
        await write(session, [_message(withdrawal)])
    elif step.status is WithdrawalStatus.NEEDS_REVIEW and step.is_told:
        alert(withdrawal, step.kind)


async def settle(session: AsyncSession, withdrawal: Withdrawal, fact: Conclusion) -> Verdict:
    """Do with a locked withdrawal what the bank's word demands, whatever its status."""
    verdict, step = judge(withdrawal.status, withdrawal.utr, fact, is_being_sent=_may_be_being_sent(withdrawal))
    if step is not None:
        await apply_step(session, withdrawal, step)
    elif verdict is Verdict.NOTED:
        await _note_refusal(session, withdrawal, fact)
    elif verdict is Verdict.CONTRADICTION:
        claimed = {"claim": type(fact).__name__, "utr": None if isinstance(fact, TurnedDown) else fact.utr}
        await timeline.append(session, withdrawal.id, status=withdrawal.status, kind="contradiction", facts=claimed)
        alert(withdrawal, "contradiction")
    return verdict


def _may_be_being_sent(withdrawal: Withdrawal) -> bool:
    """Whether somebody may be sending it right now; under review, the lease does not say for what it was taken."""
    is_leased = withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > clock.now()
    return is_leased and withdrawal.status.lease_may_be_for_sending


async def _note_refusal(session: AsyncSession, withdrawal: Withdrawal, fact: Conclusion) -> None:
    """Once; the lease stays, and whoever holds it goes on from there."""
    assert isinstance(fact, TurnedDown)
    if not await timeline.tells(session, withdrawal.id, timeline.REFUSAL_HEARD):
        facts = {"reason": fact.reason[:MAX_REASON_LENGTH]}
        await timeline.append(
            session, withdrawal.id, status=withdrawal.status, kind=timeline.REFUSAL_HEARD, facts=facts
        )
    _logger.warning("withdrawal %s: refused, the bank says, while it may be being sent", withdrawal.id)


def alert(withdrawal: Withdrawal, why: str) -> None:
    """An ERROR line is what operators are woken by."""
    facts = {
        "withdrawal_id": str(withdrawal.id),
        "status": withdrawal.status,
        "bank": withdrawal.bank,
        "amount": withdrawal.amount,
        "why": why,
    }
    _logger.error("withdrawal %s needs a person: %s", withdrawal.id, why, extra={"facts": facts})


async def _move_money(
    session: AsyncSession, withdrawal: Withdrawal, moves: Sequence[MoneyMove]
) -> tuple[UUID | None, UUID | None]:
    """Carry the moves out; the ids of the payout and of its reversal, as far as there are any by now."""
    payout_id, reversal_id = withdrawal.transfer_id, withdrawal.reversal_transfer_id
    for move in moves:
        if move == "capture":
            payout = _transfer(withdrawal, new_id())
            await post_one(session, CaptureHold(withdrawal.hold_id, payout))
            payout_id = payout.id
        elif move == "release":
            await post_one(session, ReleaseHold(withdrawal.hold_id, withdrawal.account_id))
        else:
            assert payout_id is not None, "only what was paid out can come back"
            reversal = _reversal(withdrawal, new_id(), payout_id)
            await post_one(session, reversal)
            reversal_id = reversal.id
    return payout_id, reversal_id


def _transfer(withdrawal: Withdrawal, transfer_id: UUID) -> Transfer:
    return Transfer(
        id=transfer_id,
        kind="payout",
        debit_account_id=withdrawal.account_id,
        credit_account_id=system_accounts.SETTLEMENT[withdrawal.bank],
        amount=withdrawal.amount,
        currency=withdrawal.currency,
        note=f"To {mask(withdrawal.account_number)}",
        initiated_by=withdrawal.owner_id,
    )


def _reversal(withdrawal: Withdrawal, transfer_id: UUID, payout_id: UUID) -> Transfer:
    return Transfer(
        id=transfer_id,
        kind="payout_reversal",
        debit_account_id=system_accounts.SETTLEMENT[withdrawal.bank],
        credit_account_id=withdrawal.account_id,
        amount=withdrawal.amount,
        currency=withdrawal.currency,
        note=f"Sent back from {mask(withdrawal.account_number)}",
        reverses=payout_id,
    )


def _note_the_end(withdrawal: Withdrawal, step: Step) -> None:
    withdrawal.finished_at = clock.now()
    withdrawal.utr = step.facts.get("utr") or withdrawal.utr
    reason = step.facts.get("reason")
    withdrawal.failure_reason = None if reason is None else str(reason)[:MAX_REASON_LENGTH]


def _message(withdrawal: Withdrawal) -> Message:
    """What the mail says: amount in paise, the account masked."""
    return Message(
        "withdrawal_finished",
        withdrawal.owner_id,
        {
            "withdrawal_id": str(withdrawal.id),
            "status": withdrawal.status,
            "amount": withdrawal.amount,
            "currency": withdrawal.currency,
            "bank": withdrawal.bank,
            "account_number": mask(withdrawal.account_number),
            "utr": withdrawal.utr,
            "reason": withdrawal.failure_reason,
        },
    )
