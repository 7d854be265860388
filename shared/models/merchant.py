"""A shop."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class Merchant(Base):
    """The profile of an owner of kind `merchant`."""

    __tablename__ = "merchants"

    id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    business_name: Mapped[str]
    category: Mapped[str | None]
    timezone: Mapped[str]
    """IANA name; the shop's days and months begin in it."""
    search: Mapped[str | None]
    """The name without case and accents. A trigger writes it, and the name and the category in NFC."""
