"""Which scheduler sends regular tasks now, and when each task was sent last."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base


class Lease(Base):
    """What one process has to itself until `expires_at` (UTC, by the clock of Postgres)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    """Host, pid and a random part: another one for each start of a process."""
    expires_at: Mapped[datetime]


class ScheduledTask(Base):
    """A regular task, by its name in the schedule."""

    __tablename__ = "scheduled_tasks"

    name: Mapped[str] = mapped_column(primary_key=True)
    counted_from: Mapped[datetime]
    """When it was sent last; before that, when a scheduler first knew of it. The next sending is due from here."""
