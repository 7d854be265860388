"""What happened to a withdrawal, event by event. Append-only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.clock import rfc3339
from shared.models import WithdrawalEvent
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.views import TimelineEvent

MAX_SHOWN = 500
"""Of a longer timeline, the newest events."""

# The caller has locked the withdrawal's row, so no other transaction takes the same number.
_APPEND = text("""
    INSERT INTO withdrawal_events (withdrawal_id, seq, status, kind, facts, at)
    SELECT :withdrawal_id, coalesce(max(seq), 0) + 1, :status, :kind, CAST(:facts AS jsonb), :at
    FROM withdrawal_events WHERE withdrawal_id = :withdrawal_id
""")


async def append(
    session: AsyncSession,
    withdrawal_id: UUID,
    *,
    status: WithdrawalStatus,
    kind: EventKind,
    facts: EventFacts | None = None,
) -> None:
    """Add an event. The caller has locked the withdrawal's row, or has just inserted it."""
    values = {"withdrawal_id": withdrawal_id, "status": status.value, "kind": kind.value, "at": clock.now()}
    await session.execute(_APPEND, {**values, "facts": json.dumps(as_json(facts or {}))})


async def has_event(session: AsyncSession, withdrawal_id: UUID, *kinds: EventKind) -> bool:
    """Whether there is an event of one of these kinds."""
    events = select(WithdrawalEvent.seq).where(WithdrawalEvent.withdrawal_id == withdrawal_id)
    return bool(await session.scalar(select(events.where(WithdrawalEvent.kind.in_(kinds)).exists())))


async def was_acknowledged(session: AsyncSession, withdrawal_id: UUID) -> bool:
    """Whether the bank has acknowledged this payout at least once."""
    return await has_event(session, withdrawal_id, *(kind for kind in EventKind if kind.is_acknowledgement))


async def read(session: AsyncSession, withdrawal_id: UUID) -> list[TimelineEvent]:
    """The newest MAX_SHOWN events, oldest first."""
    statement = (
        select(WithdrawalEvent)
        .where(WithdrawalEvent.withdrawal_id == withdrawal_id)
        .order_by(WithdrawalEvent.seq.desc())
        .limit(MAX_SHOWN)
    )
    return [_event_of(row) for row in reversed((await session.scalars(statement)).all())]


async def latest(session: AsyncSession, withdrawal_ids: Sequence[UUID]) -> dict[UUID, TimelineEvent]:
    """The newest event of each withdrawal."""
    statement = (
        select(WithdrawalEvent)
        .where(WithdrawalEvent.withdrawal_id.in_(withdrawal_ids))
        .ext(distinct_on(WithdrawalEvent.withdrawal_id))
        .order_by(WithdrawalEvent.withdrawal_id, WithdrawalEvent.seq.desc())
    )
    return {row.withdrawal_id: _event_of(row) for row in await session.scalars(statement)}


def as_json(facts: EventFacts) -> dict[str, Any]:
    """The facts as JSON: a time is RFC 3339 in UTC."""
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in facts.items()}


def _event_of(row: WithdrawalEvent) -> TimelineEvent:
    facts = dict(row.facts)
    if "next_check_at" in facts:
        facts["next_check_at"] = datetime.fromisoformat(facts["next_check_at"])
    return TimelineEvent(at=row.at, status=row.status, kind=EventKind(row.kind), facts=cast(EventFacts, facts))
