"""A mail that a committed transaction causes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class OutboxMessage(Base):
    """Written in the caller's transaction, delivered later and at least once."""

    __tablename__ = "outbox_messages"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also the mail's Message-ID, so that a copy can be recognised."""
    kind: Mapped[str]
    """`welcome`, `money_received` or `withdrawal_finished`."""
    owner_id: Mapped[UUID]
    facts: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    """Null once sent or given up."""
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_outbox_messages_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    )
