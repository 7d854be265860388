"""Money that an owner withdraws to a bank account."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

ACTIVE_STATUSES = ("in_flight", "waiting", "unknown", "needs_review")
"""The bank may know of these: an owner has at most one."""
FINAL_STATUSES = ("succeeded", "failed", "cancelled", "reversed")
STATUSES = ("queued", *ACTIVE_STATUSES, *FINAL_STATUSES)


class Withdrawal(Base):
    """The rows are the queue; a Celery message is only a hint to look at them."""

    __tablename__ = "withdrawals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """UUIDv7, so the order of an owner's queue; as text also our reference at the bank."""
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    bank: Mapped[str]
    account_number: Mapped[str]
    ifsc: Mapped[str]
    account_holder: Mapped[str]
    amount: Mapped[int]
    """Paise."""
    currency: Mapped[str]
    status: Mapped[str]
    hold_id: Mapped[UUID] = mapped_column(ForeignKey("holds.id"), unique=True)
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), unique=True)
    reversal_transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), unique=True)
    utr: Mapped[str | None]
    failure_reason: Mapped[str | None]
    attempts: Mapped[int]
    """How many times the bank may have received the payment request."""
    retries: Mapped[int] = mapped_column(server_default=text("0"))
    """Consecutive steps without a result; the backoff grows with them."""
    lease_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    """Until then one worker owns the row; afterwards every worker treats it as `unknown` (UTC)."""
    next_attempt_at: Mapped[datetime | None]
    first_not_found_at: Mapped[datetime | None]
    """When an enquiry first answered "not found" since the last send. The second comes a grace period later."""
    active_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("(status IN ('succeeded', 'reversed')) = (transfer_id IS NOT NULL)", name="paid_has_transfer"),
        CheckConstraint("(status = 'reversed') = (reversal_transfer_id IS NOT NULL)", name="reversed_has_transfer"),
        CheckConstraint(f"(status IN {FINAL_STATUSES}) = (finished_at IS NOT NULL)", name="finished_when_final"),
        CheckConstraint("(lease_id IS NULL) = (lease_expires_at IS NULL)", name="lease_whole"),
        Index(
            "uq_withdrawals_one_active_per_owner",
            "owner_id",
            unique=True,
            postgresql_where=text(f"status IN {ACTIVE_STATUSES}"),
        ),
        Index("ix_withdrawals_queued", "owner_id", "id", postgresql_where=text("status = 'queued'")),
        Index("ix_withdrawals_due", "next_attempt_at", postgresql_where=text(f"status IN {ACTIVE_STATUSES}")),
        Index("ix_withdrawals_owner_id_id", "owner_id", "id"),
    )


class WithdrawalEvent(Base):
    """One step of a withdrawal, shown to its owner as a timeline. Append-only."""

    __tablename__ = "withdrawal_events"

    withdrawal_id: Mapped[UUID] = mapped_column(ForeignKey("withdrawals.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    """The withdrawal's status after this step."""
    kind: Mapped[str]
    """What happened: `queued`, `sent`, `bank_slow`, `bank_down`, `not_found`, `paid`, ..."""
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (CheckConstraint(f"status IN {STATUSES}", name="status"),)
