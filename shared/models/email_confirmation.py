"""An email address that is still to be confirmed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class EmailConfirmation(Base):
    """Written at sign-up, deleted when the address is confirmed. An owner without a row counts as confirmed."""

    __tablename__ = "email_confirmations"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    address: Mapped[str]
    """Where the link was sent. A corrected address becomes the owner's when it is confirmed, and not before."""
    token_hash: Mapped[str]
    """The hash of the newest link's token: earlier links work no more."""
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    """When the newest link was sent."""
    counted_since: Mapped[datetime]
    """When the day began in which `mails` links were sent."""
    mails: Mapped[int] = mapped_column(BigInteger)
    gift: Mapped[int | None] = mapped_column(BigInteger)
    """Paise given at sign-up, for the welcome mail."""

    __table_args__ = (UniqueConstraint("token_hash"),)
