"""What operators do by hand to owners, withdrawals, deliveries and debits in suspense, and who confirmed it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.columns import EnumText, sql_values


class Action(StrEnum):
    """What an operator does."""

    FREEZE = "freeze"
    """Let nothing leave an owner's accounts."""
    PARK = "park"
    """Put a withdrawal under review: nothing of it is sent."""
    UNFREEZE = "unfreeze"
    RESOLVE = "resolve"
    """End a withdrawal under review as paid or failed."""
    REPLAY = "replay"
    """Judge a bank's notice again, as if it came now."""
    COLLECT = "collect"
    """Take a debit that lies in suspense from the owner whose it is."""
    BOOK_FEE = "book_fee"
    """Book a debit that lies in suspense as a fee of the bank."""

    @property
    def needs_another_operator(self) -> bool:
        """It lets money move, or says what became of it. What only stops money is done at once."""
        return self not in (Action.FREEZE, Action.PARK)

    @property
    def ends_parked_debit(self) -> bool:
        """Its subject is a transfer that parked a debit in suspense: one such action is carried out, and no second."""
        return self in (Action.COLLECT, Action.BOOK_FEE)


ENDED_ONCE = "uq_operator_actions_parked_debit"
"""The index by which Postgres refuses a second action that ends the same debit."""


class Decision(StrEnum):
    """What became of a proposal."""

    CONFIRMED = "confirmed"
    DECLINED = "declined"


class OperatorAction(Base):
    """Append-only but for its end. Triggers write who and when, and refuse what one operator may not do alone."""

    __tablename__ = "operator_actions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    action: Mapped[Action] = mapped_column(EnumText(Action))
    subject_id: Mapped[UUID]
    """The owner, the withdrawal, the row of the inbox, or the transfer that parked a debit."""
    arguments: Mapped[dict[str, Any]]
    """Ids, amounts in paise and choices, such as `paid` and its UTR; never a secret or an account number."""
    reason: Mapped[str]
    """Why, in the words of the operator."""
    proposed_by: Mapped[str]
    """The role of the database as which the operator signed in."""
    proposed_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    """Until when another operator may confirm it; null for what needs no other."""
    decision: Mapped[Decision | None] = mapped_column(EnumText(Decision))
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    done_in: Mapped[str | None]
    """The transaction that carried it out. In no other does the database let an operator's role do what it says."""
    outcome: Mapped[str | None]
    """What came of it: the new status, the new verdict, or where the money is booked."""

    __table_args__ = (
        CheckConstraint(f"action IN {sql_values(Action)}", name="action"),
        CheckConstraint(f"decision IN {sql_values(Decision)}", name="decision"),
        CheckConstraint(
            "(decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL)",
            name="decided_whole",
        ),
        CheckConstraint(
            "expires_at IS NULL OR (done_in IS NOT NULL) = (decision IS NOT DISTINCT FROM 'confirmed')",
            name="done_if_confirmed",
        ),
        CheckConstraint("decided_by <> proposed_by OR decision = 'declined'", name="two_operators"),
        Index("ix_operator_actions_subject_id", "subject_id"),
        Index(
            ENDED_ONCE,
            "subject_id",
            unique=True,
            postgresql_where=text("done_in IS NOT NULL AND action IN ('collect', 'book_fee')"),
        ),
        Index("ix_operator_actions_open", "expires_at", postgresql_where=text("decision IS NULL")),
    )
