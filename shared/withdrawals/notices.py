"""Notices of a bank about a payout. They come late, twice or out of order."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock, spans
from shared.banks.notices import PayoutNotice
from shared.models import Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Conclusion, Paid, PayoutRefused, PayoutReversed
from shared.withdrawals.rows import lock
from shared.withdrawals.settlement import alert, settle


@dataclass(frozen=True, slots=True)
class PayoutOutcome:
    """What was made of a notice. `withdrawal_id` is None when the reference is unknown."""

    verdict: Verdict
    withdrawal_id: UUID | None = None


async def apply_payout_notice(session: AsyncSession, notice: PayoutNotice) -> PayoutOutcome:
    """Settle the withdrawal that the notice names, in the caller's transaction.

    A success or failure ends an active withdrawal, whatever we believed; a reversal also a paid one, whose money is
    credited again. A failure that comes while the payout is being sent is only noted: the outcome of that send decides.
    What we know already is a duplicate. What contradicts a final status is recorded and alerted, and nothing moves.
    Another amount than ours settles nothing: an active withdrawal is put under review.
    """
    withdrawal = await _find(session, notice)
    if withdrawal is None:
        return PayoutOutcome(Verdict.UNKNOWN_REFERENCE)
    # In the trace of the request for it, which began long before the bank's.
    with spans.go_on(withdrawal.traceparent, f"notice {notice.event}", links=[spans.context()]):
        if notice.amount != withdrawal.amount:
            await _put_under_review(session, withdrawal, notice.amount)
            return PayoutOutcome(Verdict.AMOUNT_MISMATCH, withdrawal.id)
        return PayoutOutcome(await settle(session, withdrawal, _conclusion(notice)), withdrawal.id)


async def _find(session: AsyncSession, notice: PayoutNotice) -> Withdrawal | None:
    try:
        withdrawal_id = UUID(notice.reference)
    except ValueError:
        return None
    withdrawal = await lock(session, withdrawal_id)
    return withdrawal if withdrawal is not None and withdrawal.bank == notice.bank else None


def _conclusion(notice: PayoutNotice) -> Conclusion:
    reason = notice.reason or "the bank gave no reason"
    match notice.event:
        case "success":
            return Paid(notice.utr)
        case "failure":
            return PayoutRefused(reason)
        case "reversed":
            return PayoutReversed(notice.utr, reason)


async def _put_under_review(session: AsyncSession, withdrawal: Withdrawal, amount: int) -> None:
    if withdrawal.status.is_active:
        withdrawal.status = WithdrawalStatus.NEEDS_REVIEW
        # A worker that holds the lease records what it learns. Without a lease the bank is asked at once.
        if withdrawal.lease_id is None:
            withdrawal.next_attempt_at = clock.now()
        await session.flush()
    facts: EventFacts = {"amount": amount}
    kind = EventKind.AMOUNT_MISMATCH
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=kind, facts=facts)
    alert(withdrawal, kind)
