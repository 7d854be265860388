"""Payments to shops, added up per quarter of an hour, and the watermark of the roll-up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class InflowWatermark(Base):
    """The roll-ups contain every entry of the account up to `seq` and none above. A roll-up locks this row."""

    __tablename__ = "inflow_watermarks"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seq: Mapped[int]

    __table_args__ = (CheckConstraint("seq >= 0", name="seq_not_negative"),)


class InflowRollup(Base):
    """Payments to the account in fifteen minutes. The days of every time zone begin at such a boundary in UTC."""

    __tablename__ = "inflow_rollups"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("inflow_watermarks.account_id"), primary_key=True)
    quarter_start: Mapped[datetime] = mapped_column(primary_key=True)
    amount: Mapped[int]
    """Paise."""
    payments: Mapped[int]

    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("payments > 0", name="payments_positive"),
        CheckConstraint("mod(extract(epoch FROM quarter_start), 900) = 0", name="quarter"),
    )
