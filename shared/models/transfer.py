"""One movement of money: one amount and two accounts, so that it is always balanced."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

KINDS = ("p2p", "payment", "onramp", "payout", "payout_reversal", "funding", "adjustment", "refund")


class Transfer(Base):
    """Append-only: triggers refuse UPDATE, DELETE and TRUNCATE."""

    __tablename__ = "transfers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    debit_account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    credit_account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    amount: Mapped[int]
    """Paise."""
    currency: Mapped[str]
    note: Mapped[str | None]
    initiated_by: Mapped[UUID | None] = mapped_column(ForeignKey("owners.id"))
    reverses: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        Index("ix_transfers_reverses", "reverses", postgresql_where=text("reverses IS NOT NULL")),
        Index(
            "ix_transfers_refunds",
            "debit_account_id",
            "created_at",
            postgresql_include=["amount"],
            postgresql_where=text("kind = 'refund'"),
        ),
    )
