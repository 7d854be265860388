"""Refunds: a shop gives a payment back, partly or wholly, and never more of it than there was.

The PIN was checked by the caller, before any of this. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.ids import new_id
from shared.ledger.accounts import lock_accounts
from shared.ledger.errors import ReversalExceedsOriginal
from shared.ledger.parties import holders
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account
from shared.models import Transfer as TransferRow
from shared.outbox.messages import write
from shared.transfers.commands import messages_for
from shared.transfers.errors import NotRefundable, TransferNotFound
from shared.transfers.views import Ends, receipt_for

CREATED = 201


async def refund(
    session: AsyncSession,
    *,
    owner_id: UUID,
    payment_id: UUID,
    claim: Claim,
    amount: int | None = None,
    note: str | None = None,
) -> Answer:
    """Give `amount` of a payment back to whoever paid it, or all that is left of it; key and money are one thing.

    Raises TransferNotFound (also for what others received), NotRefundable, ReversalExceedsOriginal,
    InsufficientFunds, AccountClosed, RequestInFlight, IdempotencyKeyReused.
    """
    known = await store.claim_one(session, claim)
    if known is not None:
        return known
    payment = await _own_payment(session, owner_id, payment_id)
    # Under the lock on both accounts nobody else refunds: what is left now is left when the refund is posted.
    await lock_accounts(session, [payment.debit_account_id, payment.credit_account_id])
    refunded = (await refunded_of(session, [payment_id])).get(payment_id, 0)
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
    await write(session, messages_for(ends, posted))
    totals = {
        "reverses": str(payment_id),
        "refunded": refunded + transfer.amount,
        "refundable": left - transfer.amount,
    }
    answer = Answer(CREATED, receipt_for(posted, ends, owner_id).body() | totals)
    await store.finish(session, [(claim, answer)])
    return answer


async def refunded_of(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many paise of these transfers were given back; one of which nothing was is left out."""
    if not transfer_ids:
        return {}
    statement = (
        select(TransferRow.reverses, func.sum(TransferRow.amount))
        .where(TransferRow.reverses.in_(transfer_ids))
        .group_by(TransferRow.reverses)
    )
    return {row[0]: int(row[1]) for row in await session.execute(statement) if row[0] is not None}


async def _own_payment(session: AsyncSession, owner_id: UUID, transfer_id: UUID) -> TransferRow:
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
