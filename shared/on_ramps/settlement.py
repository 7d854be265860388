"""The only module that ends an on-ramp: on a notice of the bank, on its answer to an enquiry, or without an answer.

Notices may repeat, come late or out of order. The money is credited exactly once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.notices import PaymentNotice
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.on_ramps import rows
from shared.outbox.messages import Message, write

DECLINED = "declined"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """What was made of a notice. `on_ramp_id` is None when the token is unknown."""

    verdict: Verdict
    on_ramp_id: UUID | None = None


async def settle(session: AsyncSession, notice: PaymentNotice, *, reason: str = DECLINED) -> PaymentOutcome:
    """Do what `notice` says, once. Status, ledger transfer and mail are part of the caller's transaction.

    `reason` is kept with a failure. A success after a failure is money received: it is credited and marked.
    A failure after a success changes nothing and is marked. On a mismatch nothing is credited.
    """
    on_ramp = await rows.lock_by_token(session, notice.bank, notice.token)
    if on_ramp is None:
        return PaymentOutcome(Verdict.UNKNOWN_TOKEN)
    verdict = await _apply(session, on_ramp, notice, reason)
    _logger.info("on-ramp %s: %s says %s, %s", on_ramp.id, notice.bank, notice.event, verdict)
    return PaymentOutcome(verdict, on_ramp.id)


def fail(on_ramp: OnRamp, reason: str) -> None:
    """End a pending, locked row without a credit. A success that comes later is still credited."""
    on_ramp.status = OnRampStatus.FAILURE
    on_ramp.failure_reason = reason
    on_ramp.next_enquiry_at = None
    on_ramp.settled_at = clock.now()


async def _apply(session: AsyncSession, on_ramp: OnRamp, notice: PaymentNotice, reason: str) -> Verdict:
    if notice.amount != on_ramp.amount:
        return Verdict.AMOUNT_MISMATCH
    if notice.user_id != str(on_ramp.owner_id):
        return Verdict.USER_MISMATCH
    match on_ramp.status, notice.event:
        case _, "success" if on_ramp.status.may_be_credited:
            await _credit(session, on_ramp, notice)
            return Verdict.SETTLED
        case OnRampStatus.PENDING, "failure":
            on_ramp.bank_reference = notice.bank_reference
            fail(on_ramp, reason)
            return Verdict.SETTLED
        case OnRampStatus.SUCCESS, "failure":
            on_ramp.is_contradicted = True
            return Verdict.CONTRADICTION
        case _:
            return Verdict.DUPLICATE


async def _credit(session: AsyncSession, on_ramp: OnRamp, notice: PaymentNotice) -> None:
    transfer = Transfer(
        id=new_id(),
        kind="onramp",
        debit_account_id=system_accounts.SETTLEMENT[on_ramp.bank],
        credit_account_id=on_ramp.account_id,
        amount=on_ramp.amount,
        currency=on_ramp.currency,
        initiated_by=on_ramp.owner_id,
    )
    await post_one(session, transfer)
    on_ramp.is_late_success = on_ramp.status is OnRampStatus.FAILURE
    on_ramp.status = OnRampStatus.SUCCESS
    on_ramp.failure_reason = None
    on_ramp.bank_reference = notice.bank_reference
    on_ramp.transfer_id = transfer.id
    on_ramp.next_enquiry_at = None
    on_ramp.settled_at = clock.now()
    facts = {"amount": on_ramp.amount, "currency": on_ramp.currency, "kind": "onramp", "bank": on_ramp.bank}
    message = Message("money_received", on_ramp.owner_id, {**facts, "transfer_id": str(transfer.id)})
    await write(session, [message])
