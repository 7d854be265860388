"""What an operator reads of the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.ids import smallest_id
from shared.models import Account, AuditEvent, Owner

MAX_EVENTS = 1_000


async def find(
    session: AsyncSession,
    *,
    owner_ids: Sequence[UUID] | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[AuditEvent]:
    """The newest events that fit, newest first; at most `limit`, and MAX_EVENTS."""
    statement = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(min(limit, MAX_EVENTS))
    if owner_ids is not None:
        statement = statement.where(AuditEvent.owner_id.in_(owner_ids))
    if kind is not None:
        statement = statement.where(AuditEvent.kind == kind)
    if since is not None:
        # An id is made when the row is written, so no earlier than the last of its repeats.
        statement = statement.where(AuditEvent.id >= smallest_id(since), AuditEvent.last_at >= since)
    return list(await session.scalars(statement))


async def owners_named(session: AsyncSession, name: str) -> list[UUID]:
    """The owners with this id, email or wallet id: an email may be a person's and a shop's."""
    try:
        return [UUID(name)]
    except ValueError:
        pass
    by_email = select(Owner.id).where(Owner.email == name.lower())
    by_handle = select(Account.owner_id).where(Account.handle == name.lower(), Account.owner_id.is_not(None))
    return [*await session.scalars(by_email), *(each for each in await session.scalars(by_handle) if each)]
