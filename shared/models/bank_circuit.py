"""The circuit breaker of each bank, shared by all workers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class BankCircuit(Base):
    """Closed while `open_until` is null. Open until that time (UTC); afterwards one probe at a time."""

    __tablename__ = "bank_circuits"

    bank: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    """Failures in a row."""
    open_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    changed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("failures >= 0", name="failures_not_negative"),)
