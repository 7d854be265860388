"""The limits on money withdrawn, and how much of today's was used. Amounts in paise."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.calendar import CalendarDay, indian_day
from shared.config import MovementLimits
from shared.ledger.limits import Limits
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus


def withdrawal_limits(limits: MovementLimits) -> Limits:
    """How much an owner may withdraw today."""
    today = indian_day(clock.now())
    return Limits("withdrawal", limits.withdrawal_per_movement_paise, limits.withdrawal_per_day_paise, today)


async def withdrawn_on(session: AsyncSession, day: CalendarDay, *, owner_id: UUID) -> int:
    """How much the owner has asked for since `day` began and did not get back. Exact while the wallet is locked."""
    statement = select(func.coalesce(func.sum(Withdrawal.amount), 0)).where(
        Withdrawal.owner_id == owner_id,
        Withdrawal.created_at >= day.starts_at,
        Withdrawal.status.not_in(WithdrawalStatus.money_back()),
    )
    return int((await session.execute(statement)).scalar_one())
