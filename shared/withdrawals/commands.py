"""The commands of this flow: request a withdrawal, cancel it, and resolve one that needs review. Amounts in paise."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.account_numbers import is_account_number, is_ifsc
from shared.banks.messages import PayoutRequest
from shared.banks.table import BANKS
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger.accounts import wallet_of
from shared.ledger.post import post_one
from shared.ledger.rules import PlaceHold, ReleaseHold
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.spelling import composed
from shared.withdrawals import queries, rows, settlement, timeline
from shared.withdrawals.errors import (
    AlreadySent,
    BankBeingAsked,
    NotUnderReview,
    TooManyQueued,
    WithdrawalInvalid,
    WithdrawalNotFound,
)
from shared.withdrawals.events import EventKind
from shared.withdrawals.facts import Paid, PayoutRefused
from shared.withdrawals.limits import withdrawal_limits, withdrawn_on
from shared.withdrawals.states import conclude
from shared.withdrawals.views import WithdrawalDetail, WithdrawalView

MAX_UNFINISHED = 100
"""How many withdrawals of one owner may be unfinished."""


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
    limits: MovementLimits,
) -> Answer:
    """Hold `amount` and put a withdrawal into the owner's queue. Answers the withdrawal.

    The caller has checked the PIN. The key, the hold and the row commit together; a repeated key gets the first answer.

    Raises WithdrawalInvalid, InsufficientFunds, LimitExceeded, TooManyQueued, AccountClosed, IdempotencyKeyReused,
    RequestInFlight: nothing is held.
    """
    claim = keyed_request.claim(
        bank=bank, account_number=account_number, ifsc=ifsc, account_holder=account_holder, amount=amount
    )

    async def work() -> Answer:
        async with sessionmaker.begin() as session:
            return await _claim_and_queue(
                session,
                keyed_request,
                claim,
                withdrawal=Withdrawal(
                    owner_id=keyed_request.owner_id,
                    bank=bank,
                    account_number=account_number,
                    ifsc=ifsc,
                    account_holder=composed(account_holder.strip()),
                    amount=amount,
                    status=WithdrawalStatus.QUEUED,
                    attempts=0,
                    retries=0,
                ),
                limits=limits,
            )

    return await marks.run(claim, work)


async def cancel(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> WithdrawalDetail:
    """Cancel a withdrawal in the queue and release its hold. Cancelling it again answers the same.

    Raises WithdrawalNotFound, AlreadySent.
    """
    withdrawal = await rows.lock_own(session, owner_id, withdrawal_id)
    if withdrawal.status.may_be_cancelled:
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


async def _claim_and_queue(
    session: AsyncSession,
    keyed_request: KeyedRequest[WithdrawalView],
    claim: Claim,
    *,
    withdrawal: Withdrawal,
    limits: MovementLimits,
) -> Answer:
    """Queue `withdrawal`, which has neither id nor time yet: both follow the lock on the wallet."""
    earlier = await store.claim_one(session, claim)
    if earlier is not None:
        return earlier
    _require_valid(withdrawal)
    wallet = await wallet_of(session, withdrawal.owner_id)
    hold = PlaceHold(hold_id=new_id(), account_id=wallet.id, amount=withdrawal.amount, currency=wallet.currency)
    await post_one(session, hold)
    # The hold has locked the wallet, so the owner's requests are counted one after the other.
    await _require_room_in_queue(session, withdrawal.owner_id)
    today = withdrawal_limits(limits)
    today.check(withdrawal.amount, await withdrawn_on(session, today.day, owner_id=withdrawal.owner_id))
    # Still under the lock: ids are in the order of the queue, and the row counts on the day whose limit was checked.
    withdrawal.id, withdrawal.created_at = new_id(), clock.now()
    withdrawal.account_id, withdrawal.currency, withdrawal.hold_id = wallet.id, wallet.currency, hold.hold_id
    session.add(withdrawal)
    await session.flush()
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=EventKind.QUEUED)
    queued = await queries.get_withdrawal(session, owner_id=withdrawal.owner_id, withdrawal_id=withdrawal.id)
    answer = keyed_request.answer(queued.withdrawal)
    await store.finish(session, [(claim, answer)])
    return answer


async def _require_room_in_queue(session: AsyncSession, owner_id: UUID) -> None:
    unfinished = select(func.count()).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.not_in(WithdrawalStatus.final())
    )
    if (await session.execute(unfinished)).scalar_one() >= MAX_UNFINISHED:
        raise TooManyQueued(MAX_UNFINISHED)


def _require_valid(withdrawal: Withdrawal) -> None:
    """What cannot be sent to the bank is not accepted, so that a send cannot fail on it later."""
    wrong: dict[str, str] = {}
    if withdrawal.bank not in BANKS:
        wrong["bank"] = f"must be one of {', '.join(BANKS)}"
    if not is_account_number(withdrawal.account_number):
        wrong["account_number"] = "must be 6 to 18 digits"
    if not is_ifsc(withdrawal.ifsc):
        wrong["ifsc"] = "must be four capital letters, a zero and six letters or digits, like HDFC0000001"
    elif withdrawal.bank in BANKS and not BANKS[withdrawal.bank].has_branch(withdrawal.ifsc):
        bank = BANKS[withdrawal.bank]
        wrong["ifsc"] = f"must be a branch of {bank.name}: its codes begin with {bank.ifsc_prefix}0"
    try:
        PayoutRequest(
            reference="new",
            account_number=withdrawal.account_number,
            ifsc=withdrawal.ifsc,
            account_holder=withdrawal.account_holder,
            amount=withdrawal.amount,
        )
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            wrong.setdefault(str(problem["loc"][0]), problem["msg"])
    if wrong:
        raise WithdrawalInvalid(wrong)
