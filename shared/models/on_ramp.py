"""Money that a person adds from a bank."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.columns import EnumText, sql_values


class OnRampStatus(StrEnum):
    """Where an on-ramp stands. Only the bank's word makes it a success."""

    PENDING = "pending"
    SUCCESS = "success"
    """The money is in the wallet."""
    FAILURE = "failure"
    """Declined, refused by the bank, or ended without an answer. Money that comes later is still credited."""
    EXPIRED = "expired"
    """The bank's netbanking session ended undecided. Money that comes later is still credited."""
    CANCELLED = "cancelled"
    """Cancelled by the person, and by the bank's word not paid. Money that comes later is still credited."""

    @property
    def is_final(self) -> bool:
        """It has ended. A later success of one that ended without money still credits the wallet."""
        return self is not OnRampStatus.PENDING

    @property
    def may_be_credited(self) -> bool:
        """Nothing was credited yet, so a success from the bank credits the wallet."""
        return self is not OnRampStatus.SUCCESS


class OnRamp(Base):
    """`pending` until the bank's server says what became of it."""

    __tablename__ = "on_ramps"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Also our reference at the bank."""
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    bank: Mapped[str]
    amount: Mapped[int]
    """Paise."""
    currency: Mapped[str]
    status: Mapped[OnRampStatus] = mapped_column(EnumText(OnRampStatus))
    idempotency_key: Mapped[str]
    token: Mapped[str | None]
    """The bank's name for the netbanking session; null until the bank has answered."""
    redirect_url: Mapped[str | None]
    bank_reference: Mapped[str | None]
    failure_reason: Mapped[str | None]
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfers.id"), unique=True)
    is_late_success: Mapped[bool]
    """The bank reported success after the on-ramp had ended: it is credited, and marked here."""
    is_contradicted: Mapped[bool]
    """The bank reported failure after success: nothing changes, and an operator should look."""
    next_enquiry_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    """When the bank ends the netbanking session; null while it has not told."""
    cancel_requested_at: Mapped[datetime | None]
    """When the person asked to cancel. Until the bank has confirmed it, the on-ramp stays pending."""
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    """Where traces are recorded: the request that started it (W3C Trace Context), to which the bank's word belongs."""

    __table_args__ = (
        CheckConstraint(f"status IN {sql_values(OnRampStatus)}", name="status"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("(status = 'success') = (transfer_id IS NOT NULL)", name="success_has_transfer"),
        CheckConstraint("(status = 'pending') = (settled_at IS NULL)", name="settled_when_not_pending"),
        UniqueConstraint("bank", "token"),
        Index("ix_on_ramps_owner_id_idempotency_key", "owner_id", "idempotency_key"),
        Index("ix_on_ramps_owner_id_id", "owner_id", "id"),
        Index("ix_on_ramps_pending", "next_enquiry_at", postgresql_where=text("status = 'pending'")),
    )
