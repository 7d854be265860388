"""A recovery: what is done after the database was restored to a moment in the past, while the banks went on."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base

UNFINISHED = "finished_at IS NULL"
"""While there is such a recovery, no payout leaves."""


class Recovery(Base):
    """Begun by an operator once the database is restored, and finished when the banks' books and ours agree again."""

    __tablename__ = "recoveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    restored_to: Mapped[datetime]
    """The newest moment that the restored database knows (UTC)."""
    begun_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("restored_to <= begun_at", name="restored_to_the_past"),
        Index(
            "uq_recoveries_one_unfinished",
            text(f"({UNFINISHED})"),
            unique=True,
            postgresql_where=text(UNFINISHED),
        ),
    )
