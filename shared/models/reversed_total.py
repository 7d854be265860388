"""How much of a transfer was reversed by later ones."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class ReversedTotal(Base):
    """One row per reversed transfer, so that Postgres itself rejects a refund beyond the payment. Only a trigger on
    `transfers` writes here.
    """

    __tablename__ = "reversed_totals"

    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfers.id"), primary_key=True)
    amount: Mapped[int]
    """Paise of the transfer, repeated here because a check sees one row."""
    reversed: Mapped[int]
    """Paise of all transfers that reverse it."""

    __table_args__ = (
        CheckConstraint("reversed > 0", name="reversed_positive"),
        CheckConstraint("reversed <= amount", name="reversed_within_amount"),
    )
