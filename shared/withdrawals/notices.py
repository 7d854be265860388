"""What a bank tells us about a payout by itself, late, twice or out of order."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.notices import PayoutNotice
from shared.models import Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.rows import lock
from shared.withdrawals.settlement import alert, settle
from shared.withdrawals.states import Conclusion, Paid, SentBack, TurnedDown


@dataclass(frozen=True, slots=True)
class NoticeVerdict:
    """What was made of a notice, and which withdrawal it is about, if we know it."""

    verdict: Verdict
    withdrawal_id: UUID | None = None


async def apply_payout_notice(session: AsyncSession, notice: PayoutNotice) -> NoticeVerdict:
    """Settle what the notice is about, in the caller's transaction; a late fact wins over our guess.

    A success or failure ends an active withdrawal, a reversal also a paid one (the money is credited again).
    A failure that comes while the payout is being sent is only noted: what becomes of that send decides.
    What is known already is a duplicate; what cannot be is a contradiction, noted and alerted, and nothing moves.
    Another amount than ours settles nothing: an active withdrawal is put under review.
    """
    withdrawal = await _find(session, notice)
    if withdrawal is None:
        return NoticeVerdict(Verdict.UNKNOWN_REFERENCE)
    if notice.amount != withdrawal.amount:
        await _put_under_review(session, withdrawal, notice.amount)
        return NoticeVerdict(Verdict.AMOUNT_MISMATCH, withdrawal.id)
    return NoticeVerdict(await settle(session, withdrawal, _conclusion(notice)), withdrawal.id)


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
            return TurnedDown(reason)
        case "reversed":
            return SentBack(notice.utr, reason)


async def _put_under_review(session: AsyncSession, withdrawal: Withdrawal, amount: int) -> None:
    if withdrawal.status.is_active:
        withdrawal.status = WithdrawalStatus.NEEDS_REVIEW
        # Whoever holds the lease goes on and tells what it learnt; without one the bank is asked right away.
        if withdrawal.lease_id is None:
            withdrawal.next_attempt_at = clock.now()
        await session.flush()
    facts = {"amount": amount}
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind="amount_mismatch", facts=facts)
    alert(withdrawal, "amount_mismatch")
