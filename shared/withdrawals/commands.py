"""The commands of this flow: request a withdrawal, cancel it, and resolve one that needs review. Amounts in paise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.number_keys import NumberKeys
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ledger.post import post_one
from shared.ledger.rules import ReleaseHold
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.quotas.counts import Quota
from shared.spelling import composed
from shared.withdrawals import queries, rows, settlement, timeline
from shared.withdrawals.errors import (
    AlreadySent,
    BankBeingAsked,
    NotToPark,
    NotUnderReview,
    WithdrawalNotFound,
)
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Paid, PayoutRefused
from shared.withdrawals.queueing import claim_and_queue
from shared.withdrawals.states import conclude
from shared.withdrawals.views import WithdrawalDetail, WithdrawalView


async def request(
    keyed_request: KeyedRequest[WithdrawalView],
    *,
    bank: str,
    account_number: str,
    ifsc: str,
    account_holder: str,
    amount: int,
    sessionmaker: SessionMaker,
    marks: Marks,
    number_keys: NumberKeys,
    limits: MovementLimits,
    max_unfinished: int,
    quotas: Iterable[Quota] = (),
    requires_verified_email: bool,
) -> Answer:
    """Hold `amount` and put a withdrawal into the owner's queue. Answers the withdrawal.

    The caller has checked the PIN. The key, the hold and the row commit together; a repeated key gets the first answer.
    `quotas` bound how often the owner may ask.

    Raises WithdrawalInvalid, InsufficientFunds, LimitExceeded, TooManyQueued, TooFrequentWithdrawals, AccountClosed,
    AccountFrozen, EmailUnverified, IdempotencyKeyReused, RequestInFlight: nothing is held.
    """
    claim = _claim(
        keyed_request,
        number_keys,
        account_number,
        bank=bank,
        ifsc=ifsc,
        account_holder=account_holder,
        amount=amount,
    )

    async def work(session: AsyncSession) -> Answer:
        withdrawal = Withdrawal(
            owner_id=keyed_request.owner_id,
            bank=bank,
            account_number=account_number,
            ifsc=ifsc,
            account_holder=composed(account_holder.strip()),
            amount=amount,
            status=WithdrawalStatus.QUEUED,
            attempts=0,
            retries=0,
        )
        return await claim_and_queue(
            session,
            keyed_request,
            claim,
            withdrawal,
            number_keys=number_keys,
            limits=limits,
            max_unfinished=max_unfinished,
            requires_verified_email=requires_verified_email,
        )

    return await marks.run(claim, lambda: in_transaction(sessionmaker, work), quotas=quotas)


async def cancel(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> WithdrawalDetail:
    """Cancel a withdrawal in the queue and release its hold. Cancelling it again answers the same.

    Raises WithdrawalNotFound, AlreadySent.
    """
    withdrawal = await rows.lock_own(session, owner_id, withdrawal_id)
    if withdrawal.status.may_be_cancelled and not withdrawal.ask_bank_first:
        await post_one(session, ReleaseHold(withdrawal.hold_id, withdrawal.account_id))
        withdrawal.status = WithdrawalStatus.CANCELLED
        withdrawal.finished_at = clock.now()
        await session.flush()
        await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=EventKind.CANCELLED)
    elif withdrawal.status is not WithdrawalStatus.CANCELLED:
        raise AlreadySent(withdrawal.status)
    return await queries.get_withdrawal(session, owner_id=owner_id, withdrawal_id=withdrawal_id)


async def resolve(session: AsyncSession, *, withdrawal_id: UUID, fact: Paid | PayoutRefused) -> WithdrawalStatus:
    """End a withdrawal under review by an operator's decision: paid captures the hold, refused releases it.

    Not while a worker calls the bank about it: a notice of a wrong amount puts a payout under review in the middle of
    a send, and money released then would be paid out as well. Raises WithdrawalNotFound, NotUnderReview,
    BankBeingAsked.
    """
    withdrawal = await rows.lock(session, withdrawal_id)
    if withdrawal is None:
        raise WithdrawalNotFound
    if withdrawal.status is not WithdrawalStatus.NEEDS_REVIEW:
        raise NotUnderReview(withdrawal.status)
    if withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > clock.now():
        raise BankBeingAsked
    kind = EventKind.RESOLVED_PAID if isinstance(fact, Paid) else EventKind.RESOLVED_FAILED
    await settlement.apply(session, withdrawal, replace(conclude(fact), kind=kind))
    return withdrawal.status


async def park(session: AsyncSession, *, withdrawal_id: UUID) -> WithdrawalStatus:
    """Put a withdrawal that has not ended under review: nothing of it is sent, and its money stays held.

    The bank is asked about it, as about any other under review. A call that is under way goes on, and is recorded as
    ever. Raises WithdrawalNotFound, NotToPark.
    """
    withdrawal = await rows.lock(session, withdrawal_id)
    if withdrawal is None:
        raise WithdrawalNotFound
    if withdrawal.status.is_final or withdrawal.status is WithdrawalStatus.NEEDS_REVIEW:
        raise NotToPark(withdrawal.status)
    if withdrawal.status is WithdrawalStatus.QUEUED and await rows.has_active(session, withdrawal.owner_id):
        raise NotToPark(withdrawal.status)
    withdrawal.status = WithdrawalStatus.NEEDS_REVIEW
    withdrawal.active_since = withdrawal.active_since or clock.now()
    if withdrawal.lease_id is None:
        withdrawal.next_attempt_at = clock.now()
    await session.flush()
    facts: EventFacts = {"reason": "put under review by an operator"}
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=EventKind.NEEDS_REVIEW, facts=facts)
    return withdrawal.status


def _claim(
    keyed_request: KeyedRequest[WithdrawalView], number_keys: NumberKeys, account_number: str, **others: Any
) -> Claim:
    """What the key stands for. Of the number it has a keyed digest: a plain hash of few digits is found out by trying.

    Rows of a key that was current lately, and of the version before, which hashed the number, stand for the same.
    """
    stand_ins = (*number_keys.digests(account_number), account_number)
    current, *other_forms = (keyed_request.claim(account_number=stand_in, **others) for stand_in in stand_ins)
    return replace(current, other_forms=tuple(other_forms))
