"""A wrong PIN. It counts towards the lockout until it is old enough."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class PinFailure(Base):
    """Committed in its own transaction, so that the refusal of the request does not roll it back."""

    __tablename__ = "pin_failures"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    failed_at: Mapped[datetime]

    __table_args__ = (Index("ix_pin_failures_owner_id_failed_at", "owner_id", "failed_at"),)
