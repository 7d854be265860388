"""Every authentic delivery from a bank, with its verdict."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.columns import EnumText, sql_values


class Verdict(StrEnum):
    """What was made of a bank's notice."""

    SETTLED = "settled"
    """It ended an on-ramp or a withdrawal."""
    NOTED = "noted"
    """Kept, and nothing changed: the payout is being sent now, and the outcome of that send decides.

    The webhook answers `noted` to a contradiction too.
    """
    DUPLICATE = "duplicate"
    """It says what is known already."""
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - the token of a netbanking session that we do not know
    UNKNOWN_REFERENCE = "unknown_reference"
    AMOUNT_MISMATCH = "amount_mismatch"
    USER_MISMATCH = "user_mismatch"
    CONTRADICTION = "contradiction"
    """It says the opposite of what the bank said before; nothing changed, and an operator looks at it."""

    @property
    def is_final(self) -> bool:
        """A copy of the notice needs no second look. After any other verdict a copy is judged again, because what
        was missing may be there by then.
        """
        return self in (Verdict.SETTLED, Verdict.NOTED, Verdict.DUPLICATE, Verdict.CONTRADICTION)


class WebhookDelivery(Base):
    """A row of `webhook_inbox`: one per bank and webhook-id."""

    __tablename__ = "webhook_inbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bank: Mapped[str]
    webhook_id: Mapped[str]
    payload: Mapped[dict[str, Any]]
    verdict: Mapped[Verdict] = mapped_column(EnumText(Verdict))
    on_ramp_id: Mapped[UUID | None] = mapped_column(ForeignKey("on_ramps.id"))
    withdrawal_id: Mapped[UUID | None] = mapped_column(ForeignKey("withdrawals.id"))
    received_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(f"verdict IN {sql_values(Verdict)}", name="verdict"),
        UniqueConstraint("bank", "webhook_id"),
    )
