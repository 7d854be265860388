"""A session token that was signed out before it expired."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class RevokedToken(Base):
    """Kept until the token would have expired by itself."""

    __tablename__ = "revoked_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The token's `jti`."""
    expires_at: Mapped[datetime]

    __table_args__ = (Index("ix_revoked_tokens_expires_at", "expires_at"),)
