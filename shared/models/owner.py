"""An owner signs in and owns accounts: a person, a shop, or the platform's system user."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class Owner(Base):
    """Credentials and identity; the profile is a `User` or a `Merchant` with the same id."""

    __tablename__ = "owners"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """`user` or `merchant`: which app they sign in to."""
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    """The platform's own user, who may give initial funds."""
    email: Mapped[str]
    password_hash: Mapped[str]
    pin_hash: Mapped[str]
    tokens_valid_after: Mapped[datetime | None]
    """Session tokens issued before this moment are refused (set by a password change)."""
    kept_token_id: Mapped[UUID | None]
    """The session that changed the password: it stays valid."""
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("kind IN ('user', 'merchant')", name="kind"),
        CheckConstraint("email = lower(email)", name="email_lowercase"),
        # The same person may run a shop under the same address.
        UniqueConstraint("kind", "email"),
    )
