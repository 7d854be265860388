"""Where the entries of an account begin, once older ones are archived in files."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class OpeningBalance(Base):
    """The entries of the account up to `seq` are archived. Only the schema's owner writes it, and it moves forward.

    A trigger takes all but `seq` and `seal_id` from the entries. No key refers to `accounts`: a payment would check it.
    """

    __tablename__ = "opening_balances"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int]
    balance: Mapped[int]
    """Paise, once the entry `seq` was written."""
    last_entry_at: Mapped[datetime]
    """The newest time of an archived entry."""
    seal_id: Mapped[int] = mapped_column(index=True)
    """The last archived seal with entries of the account."""
    inflow_amounts: Mapped[Decimal]
    """Of the payments to a shop that are archived: each amount times the digest of its quarter of an hour, added up."""
    inflow_payments: Mapped[Decimal]
    """The same with 1 for each amount."""
    changed_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["seal_id", "account_id"], ["ledger_seal_ranges.seal_id", "ledger_seal_ranges.account_id"]
        ),
    )
