"""What an operator sees and decides of a withdrawal that needs review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.errors import BankBeingAsked, NotUnderReview, WithdrawalNotFound
from shared.withdrawals.rows import lock
from shared.withdrawals.settlement import apply
from shared.withdrawals.states import EventKind, Paid, PayoutRefused, conclude

MAX_LISTED = 1000


async def list_review(session: AsyncSession) -> Sequence[Withdrawal]:
    """Withdrawals that need review, the longest active first; at most MAX_LISTED."""
    statement = (
        select(Withdrawal)
        .where(Withdrawal.status == WithdrawalStatus.NEEDS_REVIEW)
        .order_by(Withdrawal.active_since)
        .limit(MAX_LISTED)
    )
    return (await session.scalars(statement)).all()


async def resolve(session: AsyncSession, *, withdrawal_id: UUID, fact: Paid | PayoutRefused) -> Withdrawal:
    """End a withdrawal under review by an operator's decision: paid captures the hold, refused releases it.

    Not while a worker calls the bank about it: a notice of a wrong amount puts a payout under review in the middle of
    a send, and money released then would be paid out as well. Raises WithdrawalNotFound, NotUnderReview,
    BankBeingAsked.
    """
    withdrawal = await lock(session, withdrawal_id)
    if withdrawal is None:
        raise WithdrawalNotFound
    if withdrawal.status != WithdrawalStatus.NEEDS_REVIEW:
        raise NotUnderReview(withdrawal.status)
    if withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > clock.now():
        raise BankBeingAsked
    kind = EventKind.RESOLVED_PAID if isinstance(fact, Paid) else EventKind.RESOLVED_FAILED
    await apply(session, withdrawal, replace(conclude(fact), kind=kind))
    return withdrawal
