"""An account with a cached balance, which equals the sum of its entries."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

KINDS = ("wallet", "merchant", "pot", "bank_settlement", "funding", "suspense", "fees")


class Account(Base):
    """Credit-positive: a credit adds to the balance, a debit subtracts. The sum of all balances is zero."""

    __tablename__ = "accounts"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str]
    name: Mapped[str]
    handle: Mapped[str | None] = mapped_column(unique=True)
    """The wallet id people type, `alice@batua`; only wallets and merchant accounts have one."""
    currency: Mapped[str]
    balance: Mapped[int] = mapped_column(server_default=text("0"))
    """Paise, the sum of its entries."""
    held: Mapped[int] = mapped_column(server_default=text("0"))
    """Paise, the sum of its active holds."""
    allow_negative: Mapped[bool] = mapped_column(server_default=text("false"))
    seq: Mapped[int] = mapped_column(server_default=text("0"))
    """Entries written so far."""
    sent_on: Mapped[date | None]
    sent_today: Mapped[int] = mapped_column(server_default=text("0"))
    """Of a wallet: paise that its owner sent to others from all accounts on the Indian day `sent_on`. Of the funding
    account: paise given as initial funds.
    """
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    frozen_at: Mapped[datetime | None]
    """Since when an operator lets nothing leave it; money that comes in is credited as ever."""
    goal: Mapped[int | None]
    """Of a pot: paise that its owner wants to reach."""

    @property
    def available(self) -> int:
        """Paise that may move now."""
        return self.balance - self.held

    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        CheckConstraint("held >= 0", name="held_not_negative"),
        CheckConstraint("allow_negative OR balance - held >= 0", name="floor"),
        CheckConstraint("seq >= 0", name="seq_not_negative"),
        CheckConstraint("sent_today >= 0", name="sent_today_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint(
            "(owner_id IS NULL) = (kind IN ('bank_settlement', 'funding', 'suspense', 'fees'))",
            name="system_has_no_owner",
        ),
        CheckConstraint("(handle IS NOT NULL) = (kind IN ('wallet', 'merchant'))", name="handle_names_wallets"),
        Index(
            "uq_accounts_one_wallet_per_owner",
            "owner_id",
            unique=True,
            postgresql_where=text("kind IN ('wallet', 'merchant')"),
        ),
        CheckConstraint("goal IS NULL OR (goal > 0 AND kind = 'pot')", name="goal"),
        Index(
            "uq_accounts_open_pot_name",
            "owner_id",
            "name",
            unique=True,
            postgresql_where=text("kind = 'pot' AND closed_at IS NULL"),
        ),
        Index("uq_accounts_system", "kind", "name", unique=True, postgresql_where=text("owner_id IS NULL")),
        Index("ix_accounts_owner_id", "owner_id"),
        Index(
            "ix_accounts_wallet_id_search",
            text("search_grams(split_part(handle, '@', 1))"),
            postgresql_using="gin",
            postgresql_where=text("kind = 'wallet'"),
        ),
        Index("ix_accounts_frozen", "id", postgresql_where=text("frozen_at IS NOT NULL")),
        Index("ix_accounts_merchants", "id", postgresql_where=text("kind = 'merchant'")),
        # Every transfer updates two rows. With room on the page, and no index on what changes, no index is written.
        {"postgresql_with": {"fillfactor": 90}},
    )
