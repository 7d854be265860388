"""An idempotency key with its request and the stored answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class IdempotencyKey(Base):
    """Written in the transaction that moves the money. `status` is null while the request is in flight."""

    __tablename__ = "idempotency_keys"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    field_hashes: Mapped[dict[str, Any]]
    """A short hash of each body field (never of a PIN), to name the ones that differ."""
    status: Mapped[int | None]
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """As it was first answered, members in their order: a replay is the same text."""
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key_length"),
        CheckConstraint("(status IS NULL) = (body IS NULL)", name="answered_whole"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )
