"""What a bank's notice makes of an on-ramp, pure: no database, no clock. The only rules by which a notice ends one.

Notices may repeat, come late or out of order. Whatever their order, a success is credited exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from shared.banks.notices import MAX_REASON_LENGTH, PaymentNotice
from shared.ledger import system_accounts
from shared.ledger.rules import Transfer
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict

DECLINED = "declined"
"""Kept as the reason when the bank gives none."""
EXPIRED = "expired"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class OnRampState:
    """The columns of an on-ramp that a notice is compared with, and those that it changes. `amount` is paise.

    `traceparent` is the trace of the request that started it.
    """

    status: OnRampStatus
    id: UUID
    owner_id: UUID
    account_id: UUID
    bank: str
    amount: int
    currency: str
    bank_reference: str | None
    failure_reason: str | None
    transfer_id: UUID | None
    is_late_success: bool
    is_contradicted: bool
    settled_at: datetime | None
    is_cancel_requested: bool = False
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, the on-ramp after the notice (the same object if nothing changes), and the transfer that credits."""

    verdict: Verdict
    on_ramp: OnRampState
    credit: Transfer | None = None


def judge(on_ramp: OnRampState, notice: PaymentNotice, *, transfer_id: UUID, at: datetime) -> Decision:
    """What `notice` does. A failure keeps the notice's reason, or else DECLINED; a credit gets the id `transfer_id`;
    `at` is UTC.

    A success after any other end is money received: it is credited and marked. A failure after a success changes
    nothing and is marked. On a mismatch nothing is credited.
    """
    if notice.amount != on_ramp.amount:
        return Decision(Verdict.AMOUNT_MISMATCH, on_ramp)
    if notice.user_id != str(on_ramp.owner_id):
        return Decision(Verdict.USER_MISMATCH, on_ramp)
    match on_ramp.status, notice.event:
        case _, "success" if on_ramp.status.may_be_credited:
            return _credited(on_ramp, notice, transfer_id, at)
        case OnRampStatus.PENDING, "failure":
            said = (notice.reason or DECLINED).lower()[:MAX_REASON_LENGTH]
            ended = replace(
                on_ramp,
                status=_status_without_money(on_ramp, said),
                bank_reference=notice.bank_reference,
                failure_reason=said,
                settled_at=at,
            )
            return Decision(Verdict.SETTLED, ended)
        case OnRampStatus.SUCCESS, "failure":
            return Decision(Verdict.CONTRADICTION, replace(on_ramp, is_contradicted=True))
        case _:
            return Decision(Verdict.DUPLICATE, on_ramp)


def _status_without_money(on_ramp: OnRampState, reason: str) -> OnRampStatus:
    """Once the person has asked to cancel, it was cancelled, unless the bank gives a reason of its own."""
    if reason == CANCELLED or (on_ramp.is_cancel_requested and reason in (DECLINED, EXPIRED)):
        return OnRampStatus.CANCELLED
    return OnRampStatus.EXPIRED if reason == EXPIRED else OnRampStatus.FAILURE


def _credited(on_ramp: OnRampState, notice: PaymentNotice, transfer_id: UUID, at: datetime) -> Decision:
    transfer = Transfer(
        id=transfer_id,
        kind="onramp",
        debit_account_id=system_accounts.SETTLEMENT[on_ramp.bank],
        credit_account_id=on_ramp.account_id,
        amount=on_ramp.amount,
        currency=on_ramp.currency,
        initiated_by=on_ramp.owner_id,
    )
    credited = replace(
        on_ramp,
        status=OnRampStatus.SUCCESS,
        bank_reference=notice.bank_reference,
        failure_reason=None,
        transfer_id=transfer_id,
        is_late_success=on_ramp.status.is_final,
        settled_at=at,
    )
    return Decision(Verdict.SETTLED, credited, transfer)
