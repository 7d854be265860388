"""Money that an owner withdraws to a bank account."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.base import Base
from shared.db.columns import EnumText, sql_values


class WithdrawalStatus(StrEnum):
    """Where a withdrawal stands."""

    # shared/withdrawals/states.py says what leads from one status to another.
    QUEUED = "queued"
    """Its money is held; no call to the bank was made."""
    IN_FLIGHT = "in_flight"
    """A worker is sending the payout."""
    WAITING = "waiting"
    """The bank has nothing under way; the payout is sent later."""
    UNKNOWN = "unknown"
    """The bank may have the payout; the bank is asked before anything else."""
    NEEDS_REVIEW = "needs_review"
    """An operator has to decide; the bank is asked from time to time."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The bank refused the payout."""
    CANCELLED = "cancelled"
    REVERSED = "reversed"
    """The bank paid it out, and the money came back."""

    @property
    def is_active(self) -> bool:
        """The bank may know of it. An owner has at most one active withdrawal."""
        return self in (
            WithdrawalStatus.IN_FLIGHT,
            WithdrawalStatus.WAITING,
            WithdrawalStatus.UNKNOWN,
            WithdrawalStatus.NEEDS_REVIEW,
        )

    @property
    def is_final(self) -> bool:
        """It has ended. Only a reversal by the bank still changes it."""
        return self in (
            WithdrawalStatus.SUCCEEDED,
            WithdrawalStatus.FAILED,
            WithdrawalStatus.CANCELLED,
            WithdrawalStatus.REVERSED,
        )

    @property
    def may_be_cancelled(self) -> bool:
        """Its owner may cancel it: it has not left the queue."""
        return self is WithdrawalStatus.QUEUED

    @property
    def may_be_sent(self) -> bool:
        """The bank certainly has no payout of it: only from here is one sent."""
        return self in (WithdrawalStatus.QUEUED, WithdrawalStatus.WAITING)

    @property
    def lease_may_be_for_sending(self) -> bool:
        """The worker that holds the lease may be sending the payout, not only asking the bank about it."""
        return self in (WithdrawalStatus.IN_FLIGHT, WithdrawalStatus.NEEDS_REVIEW)

    @property
    def was_paid_out(self) -> bool:
        """Its hold was captured: the money left the wallet, even if it came back later."""
        return self in (WithdrawalStatus.SUCCEEDED, WithdrawalStatus.REVERSED)

    @property
    def is_money_back(self) -> bool:
        """The money is in the wallet again, so it counts towards no limit."""
        return self in (WithdrawalStatus.FAILED, WithdrawalStatus.CANCELLED, WithdrawalStatus.REVERSED)

    @classmethod
    def active(cls) -> list[WithdrawalStatus]:
        """Every status that is active, for SQL."""
        return [status for status in cls if status.is_active]

    @classmethod
    def final(cls) -> list[WithdrawalStatus]:
        """Every final status, for SQL."""
        return [status for status in cls if status.is_final]

    @classmethod
    def paid_out(cls) -> list[WithdrawalStatus]:
        """Every status whose hold was captured, for SQL."""
        return [status for status in cls if status.was_paid_out]

    @classmethod
    def money_back(cls) -> list[WithdrawalStatus]:
        """Every status with the money in the wallet again, for SQL."""
        return [status for status in cls if status.is_money_back]


class Withdrawal(Base):
    """The rows are the queue; a Celery message is only a hint to look at them."""

    __tablename__ = "withdrawals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """UUIDv7, so the order of an owner's queue; as text also our reference at the bank."""
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("owners.id"))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    bank: Mapped[str]
    account_number: Mapped[str]
    """Masked (`XXXXXX1234`). Whole only where a version before the encryption wrote it, until the backfill."""
    account_number_encrypted: Mapped[str | None]
    """Readable with this row's id, owner, bank and IFSC alone; see `shared.withdrawals.kept_numbers`."""
    account_number_index: Mapped[str | None]
    """A keyed hash, so that rows with the same number are found."""
    ifsc: Mapped[str]
    account_holder: Mapped[str]
    amount: Mapped[int]
    """Paise."""
    currency: Mapped[str]
    status: Mapped[WithdrawalStatus] = mapped_column(EnumText(WithdrawalStatus))
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
    """Until then (UTC) one worker owns the row. If it ends during a send, the withdrawal becomes `unknown`."""
    next_attempt_at: Mapped[datetime | None]
    first_not_found_at: Mapped[datetime | None]
    """When an enquiry first answered "not found" since the last send. The second comes a grace period later."""
    active_since: Mapped[datetime | None]
    ask_bank_first: Mapped[bool] = mapped_column(server_default=text("false"))
    """The database was restored to a moment at which this was not sent. It may have been sent since, so the bank is
    asked before it is sent, and it cannot be cancelled."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    traceparent: Mapped[str | None]
    """Where traces are recorded: the request that asked for it (W3C Trace Context), with which workers go on."""

    __table_args__ = (
        CheckConstraint(f"status IN {sql_values(WithdrawalStatus)}", name="status"),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint(
            f"(status IN {sql_values(WithdrawalStatus.paid_out())}) = (transfer_id IS NOT NULL)",
            name="paid_has_transfer",
        ),
        CheckConstraint("(status = 'reversed') = (reversal_transfer_id IS NOT NULL)", name="reversed_has_transfer"),
        CheckConstraint(
            f"(status IN {sql_values(WithdrawalStatus.final())}) = (finished_at IS NOT NULL)",
            name="finished_when_final",
        ),
        CheckConstraint(
            "(account_number_encrypted IS NULL) = (account_number_index IS NULL) "
            "AND (account_number_encrypted IS NULL OR account_number ~ '^X{6}[0-9]{4}$')",
            name="number_encrypted_whole",
        ),
        CheckConstraint("(lease_id IS NULL) = (lease_expires_at IS NULL)", name="lease_whole"),
        Index(
            "uq_withdrawals_one_active_per_owner",
            "owner_id",
            unique=True,
            postgresql_where=text(f"status IN {sql_values(WithdrawalStatus.active())}"),
        ),
        Index("ix_withdrawals_queued", "owner_id", "id", postgresql_where=text("status = 'queued'")),
        Index("ix_withdrawals_queue", "bank", "id", postgresql_where=text("status = 'queued'")),
        Index(
            "ix_withdrawals_due",
            "next_attempt_at",
            postgresql_where=text(f"status IN {sql_values(WithdrawalStatus.active())}"),
        ),
        Index("ix_withdrawals_owner_id_id", "owner_id", "id"),
    )


class WithdrawalEvent(Base):
    """One step of a withdrawal, shown to its owner as a timeline. Append-only."""

    __tablename__ = "withdrawal_events"

    withdrawal_id: Mapped[UUID] = mapped_column(ForeignKey("withdrawals.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[WithdrawalStatus] = mapped_column(EnumText(WithdrawalStatus))
    """The withdrawal's status after this step."""
    kind: Mapped[str]
    """What happened: `queued`, `sent`, `bank_slow`, `bank_down`, `not_found`, `paid`, ..."""
    facts: Mapped[dict[str, Any]]
    at: Mapped[datetime]

    __table_args__ = (CheckConstraint(f"status IN {sql_values(WithdrawalStatus)}", name="status"),)
