"""A mail that is to be sent, or was: it tells of one message of the outbox or of many."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class Mail(Base):
    """Written by the worker in the transaction that deletes its messages, delivered later and at least once."""

    __tablename__ = "mails"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """That of its first message, and the Message-ID, so that a copy can be recognised."""
    kind: Mapped[str]
    """That of its messages: `welcome`, `confirm_email`, `money_received`, `withdrawal_finished` or `proof_failed`."""
    owner_id: Mapped[UUID]
    count: Mapped[int]
    """How many messages it tells of."""
    amount: Mapped[int | None]
    """Paise of all of them together. Null for a mail that no other message can join."""
    kinds: Mapped[dict[str, Any] | None]
    """The kinds of transfers among them, each with its count and its paise."""
    newest: Mapped[list[Any]] = mapped_column(JSONB)
    """The facts of the newest messages, newest first."""
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    """Null once sent or given up."""
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    """When its first message was written."""
    closed_at: Mapped[datetime | None]
    """Since when no message joins it."""

    __table_args__ = (
        Index("ix_mails_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
        Index("ix_mails_bundles_of", "owner_id", "closed_at", postgresql_where=text("amount IS NOT NULL")),
    )
