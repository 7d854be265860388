"""Every authentic delivery from a bank, with its verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

VERDICTS = (
    "settled",
    "noted",
    "duplicate",
    "unknown_token",
    "unknown_reference",
    "amount_mismatch",
    "user_mismatch",
    "contradiction",
)


class WebhookDelivery(Base):
    """A row of `webhook_inbox`: one per bank and webhook-id."""

    __tablename__ = "webhook_inbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bank: Mapped[str]
    webhook_id: Mapped[str]
    payload: Mapped[dict[str, Any]]
    verdict: Mapped[str]
    on_ramp_id: Mapped[UUID | None] = mapped_column(ForeignKey("on_ramps.id"))
    withdrawal_id: Mapped[UUID | None] = mapped_column(ForeignKey("withdrawals.id"))
    received_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(f"verdict IN {VERDICTS}", name="verdict"),
        UniqueConstraint("bank", "webhook_id"),
    )
