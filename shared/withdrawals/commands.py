"""What an owner asks for: withdraw money, or take a withdrawal back while it still waits in the queue."""

from __future__ import annotations

from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.account_numbers import is_account_number, is_ifsc
from shared.banks.messages import PayoutRequest
from shared.banks.table import BANKS
from shared.calendar import CalendarDay, indian_day
from shared.config import MovementLimits
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.ids import new_id
from shared.ledger.accounts import wallet_of
from shared.ledger.limits import Limits
from shared.ledger.post import post_one
from shared.ledger.rules import PlaceHold, ReleaseHold
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import queries, timeline
from shared.withdrawals.errors import AlreadySent, TooManyQueued, WithdrawalInvalid
from shared.withdrawals.rows import lock_own
from shared.withdrawals.states import EventKind

MAX_UNFINISHED = 100
"""An owner's queue is bounded."""
ACCEPTED = 202


async def request_withdrawal(
    session: AsyncSession,
    *,
    owner_id: UUID,
    claim: Claim,
    bank: str,
    account_number: str,
    ifsc: str,
    account_holder: str,
    amount: int,
    limits: MovementLimits,
) -> Answer:
    """Put `amount` paise aside and into the owner's queue for `bank`; the key, the hold and the row are one thing.

    Raises WithdrawalInvalid, InsufficientFunds, LimitExceeded, TooManyQueued, RequestInFlight, IdempotencyKeyReused.
    """
    earlier = await store.claim_one(session, claim)
    if earlier is not None:
        return earlier
    _check(bank, account_number, ifsc, account_holder, amount)
    wallet = await wallet_of(session, owner_id)
    hold = PlaceHold(hold_id=new_id(), account_id=wallet.id, amount=amount, currency=wallet.currency)
    await post_one(session, hold)
    await _refuse_a_full_queue(session, owner_id)
    today = withdrawal_limits(limits)
    today.check(amount, await withdrawn(session, owner_id, today.day))
    withdrawal = Withdrawal(
        id=new_id(),
        owner_id=owner_id,
        account_id=wallet.id,
        bank=bank,
        account_number=account_number,
        ifsc=ifsc,
        account_holder=account_holder.strip(),
        amount=amount,
        currency=wallet.currency,
        status=WithdrawalStatus.QUEUED,
        hold_id=hold.hold_id,
        attempts=0,
        retries=0,
        created_at=clock.now(),
    )
    session.add(withdrawal)
    await session.flush()
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=EventKind.QUEUED)
    answer = Answer(ACCEPTED, await queries.show(session, withdrawal))
    await store.finish(session, [(claim, answer)])
    return answer


async def cancel_withdrawal(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> dict[str, object]:
    """Take it back and free its money. Cancelling a cancelled one answers the same again.

    Raises WithdrawalNotFound, AlreadySent.
    """
    withdrawal = await lock_own(session, owner_id, withdrawal_id)
    if withdrawal.status.may_be_cancelled:
        await post_one(session, ReleaseHold(withdrawal.hold_id, withdrawal.account_id))
        withdrawal.status = WithdrawalStatus.CANCELLED
        withdrawal.finished_at = clock.now()
        await session.flush()
        await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=EventKind.CANCELLED)
    elif withdrawal.status is not WithdrawalStatus.CANCELLED:
        raise AlreadySent(withdrawal.status)
    return await queries.show_whole(session, withdrawal)


async def _refuse_a_full_queue(session: AsyncSession, owner_id: UUID) -> None:
    # The hold has locked the wallet, so the owner's requests are counted one after the other.
    unfinished = select(func.count()).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.not_in(WithdrawalStatus.final())
    )
    if (await session.execute(unfinished)).scalar_one() >= MAX_UNFINISHED:
        raise TooManyQueued(MAX_UNFINISHED)


def withdrawal_limits(limits: MovementLimits) -> Limits:
    """What one may withdraw today."""
    today = indian_day(clock.now())
    return Limits("withdrawal", limits.withdrawal_per_movement_paise, limits.withdrawal_per_day_paise, today)


async def withdrawn(session: AsyncSession, owner_id: UUID, day: CalendarDay) -> int:
    """Paise the owner asked for on that day and has not got back. Exact under the lock on the wallet."""
    statement = select(func.coalesce(func.sum(Withdrawal.amount), 0)).where(
        Withdrawal.owner_id == owner_id,
        Withdrawal.created_at >= day.starts_at,
        Withdrawal.status.not_in(WithdrawalStatus.money_back()),
    )
    return int((await session.execute(statement)).scalar_one())


def _check(bank: str, account_number: str, ifsc: str, account_holder: str, amount: int) -> None:
    """What is not fit to be sent to the bank is not taken in, so that a send cannot fail on it later."""
    wrong: dict[str, str] = {}
    if bank not in BANKS:
        wrong["bank"] = f"must be one of {', '.join(BANKS)}"
    if not is_account_number(account_number):
        wrong["account_number"] = "must be 6 to 18 digits"
    if not is_ifsc(ifsc):
        wrong["ifsc"] = "must be four capital letters, a zero and six letters or digits, like HDFC0000001"
    try:
        PayoutRequest(
            reference="new",
            account_number=account_number,
            ifsc=ifsc,
            account_holder=account_holder.strip(),
            amount=amount,
        )
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            wrong.setdefault(str(problem["loc"][0]), problem["msg"])
    if wrong:
        raise WithdrawalInvalid(wrong)
