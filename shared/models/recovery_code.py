"""What signs the platform's own user in once, without the authenticator."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class RecoveryCode(Base):
    """Written by an operator, deleted when it is used. Of all services, only user_app can read this table."""

    __tablename__ = "recovery_codes"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(primary_key=True)
