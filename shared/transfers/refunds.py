"""Refunds: a shop gives a payment back, whole or in parts. Amounts in paise.

The refunds of a payment never exceed it. The caller has checked the PIN.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.idempotency import store
from shared.idempotency.claims import Answer
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger.accounts import lock_accounts
from shared.ledger.errors import ReversalExceedsOriginal
from shared.ledger.parties import holders
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account
from shared.models import Transfer as TransferRow
from shared.outbox.messages import write
from shared.transfers.errors import NotRefundable, TransferNotFound
from shared.transfers.planning import mail_to_recipient
from shared.transfers.queries import refunded_amounts
from shared.transfers.views import Ends, RefundReceipt, receipt_for


async def refund(
    request: KeyedRequest[RefundReceipt],
    *,
    payment_id: UUID,
    amount: int | None = None,
    note: str | None = None,
    sessionmaker: SessionMaker,
    marks: Marks,
) -> Answer:
    """Give `amount` of a payment that the owner received back to its payer, or all that is left. Answers the receipt.

    A repeated key gets the first answer. Raises TransferNotFound (also for payments between others), NotRefundable,
    ReversalExceedsOriginal, InsufficientFunds, AccountClosed, AccountFrozen, IdempotencyKeyReused, RequestInFlight.
    """
    claim = request.claim(id=payment_id, amount=amount, note=note)

    async def work(session: AsyncSession) -> Answer:
        known = await store.claim_one(session, claim)
        if known is not None:
            return known
        receipt = await _give_back(session, request.owner_id, payment_id, amount, note)
        answer = request.answer(receipt)
        await store.finish(session, [(claim, answer)])
        return answer

    return await marks.run(claim, lambda: in_transaction(sessionmaker, work))


async def _give_back(
    session: AsyncSession, owner_id: UUID, payment_id: UUID, amount: int | None, note: str | None
) -> RefundReceipt:
    payment = await _find_received_payment(session, owner_id, payment_id)
    # No other refund runs while both accounts are locked, so what is left now is left when this one is posted.
    await lock_accounts(session, [payment.debit_account_id, payment.credit_account_id])
    refunded = (await refunded_amounts(session, [payment_id])).get(payment_id, 0)
    left = payment.amount - refunded
    if left == 0:
        raise ReversalExceedsOriginal(remaining=0)
    transfer = Transfer(
        id=new_id(),
        kind="refund",
        debit_account_id=payment.credit_account_id,
        credit_account_id=payment.debit_account_id,
        amount=left if amount is None else amount,
        currency=payment.currency,
        note=note,
        initiated_by=owner_id,
        reverses=payment_id,
    )
    posted = await post_one(session, transfer)
    found = await holders(session, [transfer.debit_account_id, transfer.credit_account_id])
    ends = Ends(found[transfer.debit_account_id], found[transfer.credit_account_id])
    await write(session, mail_to_recipient(ends, posted))
    return RefundReceipt(
        receipt_for(posted, ends, owner_id),
        reverses=payment_id,
        refunded=refunded + transfer.amount,
        refundable=left - transfer.amount,
    )


async def _find_received_payment(session: AsyncSession, owner_id: UUID, transfer_id: UUID) -> TransferRow:
    owned = select(Account.id).where(Account.owner_id == owner_id)
    own = set(await session.scalars(owned))
    statement = select(TransferRow).where(
        TransferRow.id == transfer_id,
        or_(TransferRow.debit_account_id.in_(own), TransferRow.credit_account_id.in_(own)),
    )
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise TransferNotFound
    if found.kind != "payment" or found.credit_account_id not in own:
        raise NotRefundable(found.kind)
    return found
