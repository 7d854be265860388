"""A person with a wallet."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class User(Base):
    """The profile of an owner of kind `user`."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    search: Mapped[str | None]
    """The whole name without case and accents. A trigger writes it, and the names in NFC."""

    __table_args__ = (Index("ix_users_search", text("search_grams(search)"), postgresql_using="gin"),)
