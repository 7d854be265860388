"""A difference between a bank's book and ours."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

KINDS = ("missing_at_bank", "missing_here", "amount_differs", "unmatched_credit")


class ReconciliationFinding(Base):
    """Filed once per bank, kind and reference; closed when a later run no longer finds it."""

    __tablename__ = "reconciliation_findings"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bank: Mapped[str]
    kind: Mapped[str]
    reference: Mapped[str]
    our_amount: Mapped[int | None]
    """Paise; null when we know nothing of it."""
    bank_amount: Mapped[int | None]
    """Paise; null when the bank knows nothing of it."""
    transfer_id: Mapped[UUID | None]
    """Where an unmatched credit was parked in `suspense`."""
    found_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        UniqueConstraint("bank", "kind", "reference"),
    )
