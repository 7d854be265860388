"""A difference between a bank's book and ours."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

KINDS = ("missing_at_bank", "missing_here", "amount_differs", "unmatched_credit")


class ReconciliationFinding(Base):
    """Stored once per bank, kind and reference. A later run that no longer finds it resolves it."""

    __tablename__ = "reconciliation_findings"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bank: Mapped[str]
    kind: Mapped[str]
    reference: Mapped[str]
    our_amount: Mapped[int | None]
    """Paise; null when our book has no line."""
    bank_amount: Mapped[int | None]
    """Paise; null when the bank's book has no line."""
    transfer_id: Mapped[UUID | None]
    """The transfer that parked an unmatched credit in `suspense`."""
    found_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        UniqueConstraint("bank", "kind", "reference"),
    )
