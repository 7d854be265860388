"""What an operator sees and decides when the engine has given up on a withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import Withdrawal
from shared.withdrawals.errors import NotUnderReview, WithdrawalNotFound
from shared.withdrawals.rows import lock
from shared.withdrawals.settlement import apply_step
from shared.withdrawals.states import Paid, TurnedDown, conclude

MAX_LISTED = 1000


async def list_review(session: AsyncSession) -> Sequence[Withdrawal]:
    """Withdrawals that need a person, the longest active first; at most MAX_LISTED."""
    statement = (
        select(Withdrawal)
        .where(Withdrawal.status == "needs_review")
        .order_by(Withdrawal.active_since)
        .limit(MAX_LISTED)
    )
    return (await session.scalars(statement)).all()


async def resolve(session: AsyncSession, *, withdrawal_id: UUID, fact: Paid | TurnedDown) -> Withdrawal:
    """End a withdrawal under review by hand: paid captures the hold, turned down releases it.

    Raises WithdrawalNotFound, NotUnderReview.
    """
    withdrawal = await lock(session, withdrawal_id)
    if withdrawal is None:
        raise WithdrawalNotFound
    if withdrawal.status != "needs_review":
        raise NotUnderReview(withdrawal.status)
    kind = "resolved_paid" if isinstance(fact, Paid) else "resolved_failed"
    await apply_step(session, withdrawal, replace(conclude(fact), kind=kind))
    return withdrawal
