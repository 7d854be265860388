"""The authenticator of the platform's own user."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class SecondFactor(Base):
    """An operator enrols it. Of all services, only user_app can read this table."""

    __tablename__ = "second_factors"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    sealed_secret: Mapped[str]
    """The secret of its codes, encrypted."""
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The time step of the last code that was accepted: no code of it, or of an earlier one, is accepted again."""
    created_at: Mapped[datetime]
