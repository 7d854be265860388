"""A chain of hashes over the ledger. It shows edits that bypassed the triggers."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class LedgerSeal(Base):
    """One link: the hash of the previous link and of every entry written since. Append-only."""

    __tablename__ = "ledger_seals"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, 3, ... without a gap."""
    previous_hash: Mapped[str]
    hash: Mapped[str]
    entry_count: Mapped[int]
    sealed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("id > 0", name="id_positive"),)


class LedgerSealRange(Base):
    """The entries of one account that a seal covers: `first_seq` to `last_seq`, both included."""

    __tablename__ = "ledger_seal_ranges"

    seal_id: Mapped[int] = mapped_column(
        # The ranges are inserted before the seal, because a seal cannot be updated.
        ForeignKey("ledger_seals.id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    first_seq: Mapped[int]
    last_seq: Mapped[int]

    __table_args__ = (
        CheckConstraint("1 <= first_seq AND first_seq <= last_seq", name="range"),
        UniqueConstraint("account_id", "first_seq"),
    )
