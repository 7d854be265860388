"""What the flow tells of a withdrawal. Amounts in paise, times in UTC; account numbers are masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared import spans
from shared.banks.account_numbers import masked
from shared.db.reads import Row
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.events import EventFacts, EventKind


class WaitingFor(StrEnum):
    """What has to happen before a withdrawal goes on."""

    EARLIER_WITHDRAWAL = "earlier_withdrawal"
    """The owner's withdrawals before it have to end."""
    WORKER = "worker"
    """A worker has to take it from the queue."""
    BANK_ANSWER = "bank_answer"
    BANK_AVAILABLE = "bank_available"
    REVIEW = "review"
    """An operator has to decide."""


_WAITING_FOR = {
    WithdrawalStatus.IN_FLIGHT: WaitingFor.BANK_ANSWER,
    WithdrawalStatus.UNKNOWN: WaitingFor.BANK_ANSWER,
    WithdrawalStatus.WAITING: WaitingFor.BANK_AVAILABLE,
    WithdrawalStatus.NEEDS_REVIEW: WaitingFor.REVIEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalView:
    """A withdrawal as its owner sees it.

    `position` is its place in the owner's queue: 1 is carried out now or next, None has ended. `next_check_at` is None
    while a worker has it, in the queue, and after the end.
    """

    id: UUID
    status: WithdrawalStatus
    bank: str
    account_number: str
    ifsc: str
    account_holder: str
    amount: int
    currency: str
    position: int | None
    waiting_for: WaitingFor | None
    next_check_at: datetime | None
    utr: str | None
    failure_reason: str | None
    created_at: datetime
    finished_at: datetime | None
    trace_id: str | None = None
    """Of the request for it, where traces are recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """One thing that happened to a withdrawal. `status` is the withdrawal's status after it."""

    at: datetime
    status: WithdrawalStatus
    kind: EventKind
    facts: EventFacts


@dataclass(frozen=True, slots=True)
class WithdrawalDetail:
    """A withdrawal with its timeline, oldest event first."""

    withdrawal: WithdrawalView
    timeline: Sequence[TimelineEvent]


@dataclass(frozen=True, slots=True)
class RecentWithdrawal:
    """A withdrawal with the latest event of its timeline."""

    withdrawal: WithdrawalView
    latest: TimelineEvent | None


Account = tuple[str, str, str, str]
"""A bank account: bank, whole number, IFSC and holder."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A bank account that an owner has withdrawn to. `withdrawal_id` is the latest withdrawal to it, and names it.

    Here the account number is whole, for the bank alone: pages show it masked.
    """

    withdrawal_id: UUID
    bank: str
    account_number: str = field(repr=False)
    ifsc: str
    account_holder: str

    @property
    def account(self) -> Account:
        """What two withdrawals to one account have in common."""
        return self.bank, self.account_number, self.ifsc, self.account_holder


VIEW_COLUMNS = """
    withdrawal.id, withdrawal.status, withdrawal.bank, withdrawal.account_number, withdrawal.ifsc,
    withdrawal.account_holder, withdrawal.amount, withdrawal.currency, queue.position, withdrawal.next_attempt_at,
    withdrawal.utr, withdrawal.failure_reason, withdrawal.created_at, withdrawal.finished_at, withdrawal.traceparent
"""
"""What a statement selects for `view_from`."""
VIEW_SIZE = VIEW_COLUMNS.count(",") + 1


def view_from(row: Row) -> WithdrawalView:
    """A row of VIEW_COLUMNS as its owner sees it."""
    id_, stored, bank, number, ifsc, holder, amount, currency, position, next_attempt_at, *rest = row
    utr, failure_reason, created_at, finished_at, traceparent = rest
    status = WithdrawalStatus(stored)
    has_next_check = status.is_active and status is not WithdrawalStatus.IN_FLIGHT
    return WithdrawalView(
        id=id_,
        status=status,
        bank=bank,
        account_number=masked(number),
        ifsc=ifsc,
        account_holder=holder,
        amount=amount,
        currency=currency,
        position=position,
        waiting_for=_waiting_for(status, position),
        next_check_at=next_attempt_at if has_next_check else None,
        utr=utr,
        failure_reason=failure_reason,
        created_at=created_at,
        finished_at=finished_at,
        trace_id=spans.trace_of(traceparent),
    )


def view_of(withdrawal: Withdrawal, *, position: int | None) -> WithdrawalView:
    """The same of a row that was just made or read as a whole."""
    return view_from(
        (
            withdrawal.id,
            withdrawal.status,
            withdrawal.bank,
            withdrawal.account_number,
            withdrawal.ifsc,
            withdrawal.account_holder,
            withdrawal.amount,
            withdrawal.currency,
            position,
            withdrawal.next_attempt_at,
            withdrawal.utr,
            withdrawal.failure_reason,
            withdrawal.created_at,
            withdrawal.finished_at,
            withdrawal.traceparent,
        )
    )


def _waiting_for(status: WithdrawalStatus, position: int | None) -> WaitingFor | None:
    if status is WithdrawalStatus.QUEUED:
        return WaitingFor.WORKER if position == 1 else WaitingFor.EARLIER_WITHDRAWAL
    return _WAITING_FOR.get(status)
