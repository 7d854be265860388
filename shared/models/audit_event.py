"""Who did what with accounts and secrets, from where and when, for those who look into an incident."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class AuditEvent(Base):
    """Append-only: triggers refuse every change, and deletion within ninety days. Repeats are one row with a count."""

    __tablename__ = "audit_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """UUIDv7 of when the row was written."""
    kind: Mapped[str]
    """`sign_in_failed`, `pin_changed`, `operator_command`, ...; see shared/audit/kinds.py."""
    what: Mapped[str | None]
    """Which limit, or which command."""
    owner_id: Mapped[UUID | None]
    """Of the account that it is about; null when no account has the email that was typed."""
    operator: Mapped[str | None]
    """Of a command: the user of the operating system and the machine."""
    address: Mapped[str | None]
    """The network address, of IPv6 the /64; `many` when there were too many to name."""
    request_id: Mapped[str | None]
    """Of the first of the repeats."""
    count: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]
    """Ids and choices; never a secret, a token or an account number."""

    __table_args__ = (
        CheckConstraint("count > 0", name="count_positive"),
        Index("ix_audit_events_owner_id_id", "owner_id", "id", postgresql_where=text("owner_id IS NOT NULL")),
    )
