"""What is read of an owner's on-ramps."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import OnRamp
from shared.on_ramps.errors import OnRampNotFound
from shared.on_ramps.views import OnRampView, view_of

MAX_RECENT = 20
"""Of an owner's on-ramps, how many are looked through for what is new."""


async def get_on_ramp(session: AsyncSession, *, owner_id: UUID, on_ramp_id: UUID) -> OnRampView:
    """One of the owner's on-ramps. Raises OnRampNotFound, for those of others too."""
    statement = select(OnRamp).where(OnRamp.id == on_ramp_id, OnRamp.owner_id == owner_id)
    on_ramp = (await session.execute(statement)).scalar_one_or_none()
    if on_ramp is None:
        raise OnRampNotFound
    return view_of(on_ramp)


async def list_on_ramps(
    session: AsyncSession, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[OnRampView], UUID | None]:
    """The owner's on-ramps, newest first, older than `before`; and the next `before`, if there are more."""
    found = await _newest(session, owner_id=owner_id, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def recent_on_ramps(session: AsyncSession, *, owner_id: UUID, since: datetime) -> list[OnRampView]:
    """Of the owner's newest MAX_RECENT on-ramps those pending or settled after `since`, oldest first."""
    newest = await _newest(session, owner_id=owner_id, limit=MAX_RECENT, before=None)
    return [each for each in reversed(newest) if each.settled_at is None or each.settled_at >= since]


async def _newest(session: AsyncSession, *, owner_id: UUID, limit: int, before: UUID | None) -> list[OnRampView]:
    statement = select(OnRamp).where(OnRamp.owner_id == owner_id).order_by(OnRamp.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(OnRamp.id < before)
    return [view_of(on_ramp) for on_ramp in (await session.execute(statement)).scalars()]
