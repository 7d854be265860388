"""Mail that a transaction causes. It is written in that transaction and delivered later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ids import new_id

Kind = Literal["welcome", "money_received", "withdrawal_finished"]


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one owner. `facts` are the values of its template, amounts in paise. Delivery looks up the address."""

    kind: Kind
    owner_id: UUID
    facts: dict[str, Any]


_INSERT = text("""
    INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)
    SELECT id, kind, owner_id, facts, 0, :now, :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:owner_ids AS uuid[]), CAST(:facts AS jsonb[]))
         AS said (id, kind, owner_id, facts)
""")


async def write(session: AsyncSession, messages: Sequence[Message]) -> None:
    """Insert the messages into the outbox in one statement."""
    if messages:
        await session.execute(
            _INSERT,
            {
                "ids": [new_id() for _ in messages],
                "kinds": [message.kind for message in messages],
                "owner_ids": [message.owner_id for message in messages],
                "facts": [json.dumps(message.facts) for message in messages],
                "now": clock.now(),
            },
        )
