"""Mail that a transaction causes. It is written in that transaction and delivered later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.transaction import SessionTransaction
from shared.db.writes import Write, write_all
from shared.ids import new_id

Kind = Literal["welcome", "money_received", "withdrawal_finished"]


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one owner. `facts` are the values of its template, amounts in paise. Delivery looks up the address."""

    kind: Kind
    owner_id: UUID
    facts: dict[str, Any]


_INSERT = """
    INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)
    SELECT id, kind, owner_id, facts::jsonb, 0, $5::timestamptz, $5::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) AS said (id, kind, owner_id, facts)
"""


def rows_of(messages: Sequence[Message]) -> Write:
    """The messages as rows of the outbox, to write together with what they report."""
    columns = (
        [new_id() for _ in messages],
        [message.kind for message in messages],
        [message.owner_id for message in messages],
        [json.dumps(message.facts) for message in messages],
    )
    return Write(_INSERT, (*columns, clock.now()), len(messages))


async def write(session: AsyncSession, messages: Sequence[Message]) -> None:
    """Insert the messages into the outbox in one statement."""
    await write_all(SessionTransaction(session), [rows_of(messages)])
