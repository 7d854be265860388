"""The circuit breaker of each bank, shared by all workers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class CircuitState(StrEnum):
    """Whether calls to a bank go out. It follows from `open_until` and the time, and is not stored."""

    CLOSED = "closed"
    """Every call goes out."""
    OPEN = "open"
    """No call goes out."""
    HALF_OPEN = "half_open"
    """One call at a time goes out, to find out whether the bank answers again."""

    @classmethod
    def at(cls, now: datetime, *, open_until: datetime | None) -> CircuitState:
        """The state at `now`. `open_until` is null for a circuit that was not opened."""
        if open_until is None:
            return cls.CLOSED
        return cls.OPEN if open_until > now else cls.HALF_OPEN


class BankCircuit(Base):
    """Closed while `open_until` is null. Open until that time (UTC); afterwards half open, until the bank answers."""

    __tablename__ = "bank_circuits"

    bank: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    """Failures in a row."""
    open_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    changed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("failures >= 0", name="failures_not_negative"),)
