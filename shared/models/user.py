"""A person with a wallet."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class User(Base):
    """The profile of an owner of kind `user`."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
