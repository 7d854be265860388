"""Mail that a transaction causes. It is written in that transaction and delivered later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.transaction import SessionTransaction
from shared.db.writes import Write, column, write_all
from shared.ids import new_id

Kind = Literal["welcome", "confirm_email", "money_received", "withdrawal_finished", "proof_failed"]

OPERATOR_ID = UUID(int=0)
"""Stands for the operator, who owns nothing: delivery takes the address from the settings."""


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one owner. `facts` are the values of its template, amounts in paise; an id is written as text. Delivery
    looks up the address."""

    kind: Kind
    owner_id: UUID
    facts: dict[str, Any]


_INSERT = """
    INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)
    SELECT id, coalesce(kind, $5::text), coalesce(owner_id, $6::uuid), facts::jsonb, 0, $7::timestamptz, $7::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS said (id, facts, kind, owner_id)
"""


def rows_of(messages: Sequence[Message]) -> Write:
    """The messages as rows of the outbox, to write together with what they report."""
    kinds, same_kind = column([message.kind for message in messages])
    owner_ids, same_owner = column([message.owner_id for message in messages])
    arguments = (
        [new_id() for _ in messages],
        [to_json(message.facts).decode() for message in messages],
        *(kinds, owner_ids),
        *(same_kind, same_owner),
        clock.now(),
    )
    return Write(_INSERT, arguments, len(messages))


async def write(session: AsyncSession, messages: Sequence[Message]) -> None:
    """Insert the messages into the outbox in one statement."""
    await write_all(SessionTransaction(session), [rows_of(messages)])
