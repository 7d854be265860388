"""What happened to a withdrawal, event by event. Append-only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.clock import rfc3339
from shared.db.reads import Row
from shared.db.transaction import SessionTransaction
from shared.db.writes import Write, write_all
from shared.models import WithdrawalEvent
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.views import TimelineEvent

MAX_SHOWN = 500
"""Of a longer timeline, the newest events."""
EVENT_COLUMNS = "event.at, event.status, event.kind, event.facts::text"
"""What a statement selects for `event_from`."""

# The caller has locked the withdrawals' rows, so no other transaction takes the same numbers.
_APPEND = """
    INSERT INTO withdrawal_events (withdrawal_id, seq, status, kind, facts, at)
    SELECT new.withdrawal_id,
           coalesce((SELECT max(seq) FROM withdrawal_events AS old WHERE old.withdrawal_id = new.withdrawal_id), 0)
               + row_number() OVER (PARTITION BY new.withdrawal_id ORDER BY new.number),
           new.status, new.kind, new.facts::jsonb, $5::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[])
         WITH ORDINALITY AS new (withdrawal_id, status, kind, facts, number)
"""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What happened to a withdrawal, and its status after that."""

    withdrawal_id: UUID
    status: WithdrawalStatus
    kind: EventKind
    facts: EventFacts = field(default_factory=EventFacts)


async def append(
    session: AsyncSession,
    withdrawal_id: UUID,
    *,
    status: WithdrawalStatus,
    kind: EventKind,
    facts: EventFacts | None = None,
) -> None:
    """Add an event. The caller has locked the withdrawal's row, or has just inserted it."""
    await append_all(session, [NewEvent(withdrawal_id, status, kind, facts or {})])


async def append_all(session: AsyncSession, events: Sequence[NewEvent]) -> None:
    """Add the events in their order, in one statement. The caller has locked the withdrawals' rows."""
    await write_all(SessionTransaction(session), [rows_of(events)])


def rows_of(events: Sequence[NewEvent]) -> Write:
    """The events in their order, to write together with what they report."""
    arguments = (
        [event.withdrawal_id for event in events],
        [event.status.value for event in events],
        [event.kind.value for event in events],
        [json.dumps(as_json(event.facts)) for event in events],
        clock.now(),
    )
    return Write(_APPEND, arguments, len(events))


async def has_event(session: AsyncSession, withdrawal_id: UUID, kind: EventKind) -> bool:
    """Whether there is an event of this kind."""
    events = select(WithdrawalEvent.seq).where(WithdrawalEvent.withdrawal_id == withdrawal_id)
    return bool(await session.scalar(select(events.where(WithdrawalEvent.kind == kind).exists())))


async def acknowledged_among(session: AsyncSession, withdrawal_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these payouts that the bank has acknowledged at least once."""
    if not withdrawal_ids:
        return set()
    kinds = [kind for kind in EventKind if kind.is_acknowledgement]
    statement = select(WithdrawalEvent.withdrawal_id).where(
        WithdrawalEvent.withdrawal_id.in_(withdrawal_ids), WithdrawalEvent.kind.in_(kinds)
    )
    return set(await session.scalars(statement))


def as_json(facts: EventFacts) -> dict[str, Any]:
    """The facts as JSON: a time is RFC 3339 in UTC."""
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in facts.items()}


def event_from(row: Row) -> TimelineEvent | None:
    """The event of a row of EVENT_COLUMNS; None for one of an outer join without an event."""
    at, status, kind, stored = row
    if kind is None:
        return None
    facts = json.loads(stored)
    if "next_check_at" in facts:
        facts["next_check_at"] = datetime.fromisoformat(facts["next_check_at"])
    return TimelineEvent(at=at, status=WithdrawalStatus(status), kind=EventKind(kind), facts=cast(EventFacts, facts))
