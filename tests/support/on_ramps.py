"""What the database holds of on-ramps."""

from __future__ import annotations

from sqlalchemy import select

from shared.models import OnRamp
from tests.support.apps import RunningApp, Signed


async def newest_on_ramp(app: RunningApp, who: Signed) -> OnRamp:
    """The latest on-ramp of theirs."""
    async with app.sessionmaker() as session:
        return (
            await session.scalars(select(OnRamp).where(OnRamp.owner_id == who.id).order_by(OnRamp.id.desc()))
        ).all()[0]
