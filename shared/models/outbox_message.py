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
    """Also the Message-ID of its mail, so that a copy can be recognised."""
    kind: Mapped[str]
    """`welcome`, `confirm_email`, `money_received`, `withdrawal_finished` or, to the operator, `proof_failed`."""
    owner_id: Mapped[UUID]
    facts: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    """Null once sent or given up, and for a message that waits in the bundle of another."""
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    bundle_id: Mapped[UUID | None]
    """The message whose mail tells of this one, together with others; its own id for the first of them. Null while it
    is new, and for a kind that is never bundled."""
    closed_at: Mapped[datetime | None]
    """Since when no message joins the bundle that begins with this one."""

    __table_args__ = (
        Index("ix_outbox_messages_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
        Index(
            "ix_outbox_messages_bundle",
            "bundle_id",
            postgresql_where=text("bundle_id IS NOT NULL AND sent_at IS NULL"),
        ),
        Index("ix_outbox_messages_bundles_of", "owner_id", "closed_at", postgresql_where=text("bundle_id = id")),
    )
