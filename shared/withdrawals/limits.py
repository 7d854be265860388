"""The limits on money withdrawn, and how much of today's was used. Amounts in paise."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.calendar import CalendarDay, indian_day
from shared.config import MovementLimits
from shared.db.columns import sql_values
from shared.db.reads import Source, fetch
from shared.ledger.limits import Limits
from shared.models.withdrawal import WithdrawalStatus

WITHDRAWN = f"""
    SELECT coalesce(sum(amount), 0)::bigint FROM withdrawals
    WHERE owner_id = $1 AND created_at >= $2 AND status NOT IN {sql_values(WithdrawalStatus.money_back())}
"""  # noqa: S608 - statuses of the model
"""In SQL text: how much the owner `$1` has asked for since `$2` and did not get back."""


def withdrawal_limits(limits: MovementLimits, at: datetime) -> Limits:
    """How much an owner may withdraw on the day of this moment."""
    day = indian_day(at)
    return Limits("withdrawal", limits.withdrawal_per_movement_paise, limits.withdrawal_per_day_paise, day)


async def withdrawn_on(source: Source, day: CalendarDay, *, owner_id: UUID) -> int:
    """How much the owner has asked for since `day` began and did not get back. Exact while the wallet is locked."""
    ((withdrawn,),) = await fetch(source, WITHDRAWN, owner_id, day.starts_at)
    return int(withdrawn)
