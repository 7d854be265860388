"""A chain of hashes over the ledger. It shows edits that bypassed the triggers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, text
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
    archives_through: Mapped[int] = mapped_column(server_default=text("0"))
    """The newest archived seal when it was made: it also covers what was noted of those archived since the last one."""

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


class ArchivedSeal(Base):
    """Entries of this seal are in a file, whose content has the seal's hash. Append-only, one seal after the other."""

    __tablename__ = "archived_seals"

    seal_id: Mapped[int] = mapped_column(ForeignKey("ledger_seals.id"), primary_key=True, autoincrement=False)
    file_name: Mapped[str]
    file_hash: Mapped[str]
    """SHA-256 of the file as it lies there, compressed."""
    entries_away: Mapped[int]
    """Entries of the seal that are no longer in the table. Those of the platform's accounts and of pots stay."""
    rest_hash: Mapped[str]
    """As the seal's own hash, of those that stay."""
    transfers_sum: Mapped[Decimal]
    """The digests of what the transfers of the entries that went say, added up: one for each such entry."""
    openings_sum: Mapped[Decimal]
    """The digests of all opening balances, added up, as they are with this seal archived."""
    archived_at: Mapped[datetime]
