"""What happened to a withdrawal, event by event. Append-only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.table import BANKS
from shared.clock import rfc3339
from shared.models import WithdrawalEvent
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.states import EventFacts, EventKind

MAX_SHOWN = 500
"""Of a longer timeline, the newest events."""

# The caller has locked the withdrawal's row, so no other transaction takes the same number.
_APPEND = text("""
    INSERT INTO withdrawal_events (withdrawal_id, seq, status, kind, facts, at)
    SELECT :withdrawal_id, coalesce(max(seq), 0) + 1, :status, :kind, CAST(:facts AS jsonb), :at
    FROM withdrawal_events WHERE withdrawal_id = :withdrawal_id
""")

_WORDS = {
    "queued": "In the queue",
    "cancelled": "Cancelled",
    "sending": "Being sent to {bank}",
    "bank_down": "{bank} cannot be reached; nothing was sent, another attempt follows",
    "delayed_but_known": "Held up on our side; asking {bank}, who spoke of it before",
    "refusal_heard": "{bank} says it was refused, while it is being sent; the money stays held until that is certain",
    "delayed": "Held up on our side; nothing was sent, another attempt follows",
    "bank_shut": "{bank} is not answering at the moment; another attempt follows",
    "bank_slow": "{bank} did not answer in time; asking whether it was done",
    "processing": "{bank} is working on it",
    "no_answer": "{bank} did not answer the question; asking again",
    "not_found": "{bank} does not know of it yet; asking once more before sending it again",
    "never_arrived": "It never arrived at {bank}; it is sent again",
    "interrupted": "Interrupted on our side; asking {bank} whether it was done",
    "paid": "Paid out by {bank}",
    "refused": "Refused by {bank}; the money is available again",
    "returned": "Sent back by the receiving bank; the money is in the wallet again",
    "amount_mismatch": "{bank} speaks of another amount; a person is looking into it",
    "lost_sight": "{bank} had it, and does not know of it any more; a person is looking into it",
    "needs_review": "Not settled for too long; a person is looking into it",
    "contradiction": "{bank} said something that does not fit; a person is looking into it",
    "resolved_paid": "Looked into: it was paid out",
    "resolved_failed": "Looked into: it was not paid out; the money is available again",
}


async def append(
    session: AsyncSession,
    withdrawal_id: UUID,
    *,
    status: WithdrawalStatus,
    kind: EventKind,
    facts: EventFacts | None = None,
) -> None:
    """Add an event. The caller has locked the withdrawal's row, or has just inserted it."""
    stored = json.dumps(facts or {}, default=_as_text)
    values = {"withdrawal_id": withdrawal_id, "status": status.value, "kind": kind.value, "facts": stored}
    await session.execute(_APPEND, {**values, "at": clock.now()})


async def has_event(session: AsyncSession, withdrawal_id: UUID, *kinds: EventKind) -> bool:
    """Whether there is an event of one of these kinds."""
    events = select(WithdrawalEvent.seq).where(WithdrawalEvent.withdrawal_id == withdrawal_id)
    return bool(await session.scalar(select(events.where(WithdrawalEvent.kind.in_(kinds)).exists())))


async def was_acknowledged(session: AsyncSession, withdrawal_id: UUID) -> bool:
    """Whether the bank has acknowledged this payout at least once."""
    return await has_event(session, withdrawal_id, *(kind for kind in EventKind if kind.is_acknowledgement))


def _as_text(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return rfc3339(value)


async def read(session: AsyncSession, withdrawal_id: UUID, bank: str) -> list[dict[str, Any]]:
    """The newest MAX_SHOWN lines, oldest first: `{at, status, kind, message, facts}`."""
    statement = (
        select(WithdrawalEvent)
        .where(WithdrawalEvent.withdrawal_id == withdrawal_id)
        .order_by(WithdrawalEvent.seq.desc())
        .limit(MAX_SHOWN)
    )
    events: Sequence[WithdrawalEvent] = (await session.scalars(statement)).all()
    return [line(event, bank) for event in reversed(events)]


def line(event: WithdrawalEvent, bank: str) -> dict[str, Any]:
    """One line as shown; the words may change, `kind` may not."""
    return {
        "at": rfc3339(event.at),
        "status": event.status,
        "kind": event.kind,
        "message": _WORDS[event.kind].format(bank=BANKS[bank].name),
        "facts": event.facts,
    }
