"""One side of a transfer on one account."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class Entry(Base):
    """Append-only. `seq` has no gaps per account: a missing row is visible, and `seq` is the cursor of a statement."""

    __tablename__ = "entries"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfers.id"))
    direction: Mapped[str]
    """`DEBIT` or `CREDIT`."""
    amount: Mapped[int]
    """Paise, always positive."""
    balance_after: Mapped[int]
    """Paise; the account's balance once this line was written."""
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("direction IN ('DEBIT', 'CREDIT')", name="direction"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("seq > 0", name="seq_positive"),
        UniqueConstraint("transfer_id", "direction"),
        Index("ix_entries_account_id_created_at_seq", "account_id", "created_at", "seq"),
    )
