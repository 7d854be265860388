"""A run of the proof: what it looked at, and what it found."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import String

from shared.db.base import Base

STANDS = "result = 'failed' AND superseded_by IS NULL"
"""A failure that no later run of the same reach has settled: while there is one, no payout leaves."""


class ProofRun(Base):
    """Without a result it is under way, or its process died: then it counts neither as passed nor as failed."""

    __tablename__ = "proof_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """`quick`: what is new since the last good run. `whole`: every row."""
    started_at: Mapped[datetime]
    """Before its snapshot of the database."""
    finished_at: Mapped[datetime | None]
    result: Mapped[str | None]
    """`passed` or `failed`."""
    findings: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """Of each broken rule its name, and the first rows that break it."""
    banks: Mapped[list[str]] = mapped_column(ARRAY(String), server_default=text("'{}'::varchar[]"))
    """The banks whose statements were compared."""
    transfers: Mapped[int] = mapped_column(server_default=text("0"))
    """How many it looked at."""
    transfers_through: Mapped[UUID | None]
    """How far it came: up to this id. When it passed, the next quick run begins behind it."""
    accounts_through: Mapped[UUID | None]
    """Quick runs look at all accounts in turns: the last of this run."""
    superseded_by: Mapped[UUID | None]
    """Of a failure: the later run that looked at the same rows, or more, and now says how they are."""
    alerted_at: Mapped[datetime | None]
    """Of a failure: when the operator was told."""

    __table_args__ = (
        CheckConstraint("kind IN ('quick', 'whole')", name="kind"),
        CheckConstraint("result IN ('passed', 'failed')", name="result"),
        CheckConstraint("(result IS NULL) = (finished_at IS NULL)", name="finished_with_result"),
        Index("ix_proof_runs_started_at", "started_at"),
        Index("ix_proof_runs_finished", "kind", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_proof_runs_passed", "transfers_through", postgresql_where=text("result = 'passed'")),
        Index("ix_proof_runs_standing", "started_at", postgresql_where=text(STANDS)),
    )
