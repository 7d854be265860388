"""Reserved money: it cannot be spent and has not moved."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.columns import EnumText, sql_values


class HoldStatus(StrEnum):
    """What became of a hold. Captured and released are final."""

    ACTIVE = "active"
    """The money is reserved."""
    CAPTURED = "captured"
    """The money left the account, by the hold's transfer."""
    RELEASED = "released"
    """The money is available again."""


class Hold(Base):
    """Active until it is captured (becomes a transfer) or released. Each hold ends once."""

    __tablename__ = "holds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    amount: Mapped[int]
    """Paise."""
    status: Mapped[HoldStatus] = mapped_column(EnumText(HoldStatus))
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), unique=True)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(f"status IN {sql_values(HoldStatus)}", name="status"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("(status = 'captured') = (transfer_id IS NOT NULL)", name="captured_has_transfer"),
        CheckConstraint("(status = 'active') = (closed_at IS NULL)", name="closed_when_not_active"),
        Index("ix_holds_active", "account_id", postgresql_where=text("status = 'active'")),
    )
