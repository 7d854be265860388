"""Withdrawals that a restored database lacks or knows too little of: they were asked for or sent after its moment."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.messages import PayoutAnswer
from shared.banks.table import BANKS
from shared.ids import new_id
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.ledger.post import post_one
from shared.ledger.rules import CaptureHold, PlaceHold
from shared.models import Account, Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import rows, settlement, timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Paid, PayoutReversed
from shared.withdrawals.states import conclude

NOT_TOLD = "X" * 10
"""Stands for an account number that the bank did not repeat."""


async def have_asked_first(session: AsyncSession) -> int:
    """Have the bank asked about everything that would be sent, before it is: it may have been sent since.

    What is under way is asked about in any case, twice before it is sent again: what the bank did not find before the
    moment says nothing of what was sent since. Answers how many are new.
    """
    counts_no_more = update(Withdrawal).where(
        Withdrawal.status.in_(WithdrawalStatus.active()), Withdrawal.first_not_found_at.is_not(None)
    )
    await session.execute(counts_no_more.values(first_not_found_at=None))
    may_be_sent = [status for status in WithdrawalStatus if status.may_be_sent]
    statement = update(Withdrawal).where(Withdrawal.status.in_(may_be_sent), ~Withdrawal.ask_bank_first)
    marked = await session.execute(statement.values(ask_bank_first=True).returning(Withdrawal.id))
    return len(marked.all())


async def settle_paid(session: AsyncSession, withdrawal_id: UUID, fact: Paid | PayoutReversed) -> Verdict | None:
    """Do to a withdrawal that the database knows what follows from the bank's word; None when it knows none."""
    withdrawal = await rows.lock(session, withdrawal_id)
    if withdrawal is None:
        return None
    if withdrawal.status is WithdrawalStatus.QUEUED:
        withdrawal.active_since = withdrawal.active_since or clock.now()
        withdrawal.ask_bank_first = False
        await settlement.apply(session, withdrawal, conclude(fact))
        return Verdict.SETTLED
    return await settlement.settle(session, withdrawal, fact)


async def find_payer(session: AsyncSession, answer: PayoutAnswer) -> Account | None:
    """The account of the owner whom we named to the bank, if the bank repeats that and the database knows the owner."""
    try:
        owner_id = UUID(answer.user_ref or "")
    except ValueError:
        return None
    statement = select(Account).where(Account.owner_id == owner_id, Account.kind.in_(SPENDABLE_KINDS))
    return await session.scalar(statement.with_for_update(key_share=True))


async def write_again(
    session: AsyncSession,
    *,
    bank: str,
    withdrawal_id: UUID,
    payer: Account,
    amount: int,
    answer: PayoutAnswer,
    fact: Paid | PayoutReversed,
) -> None:
    """Write a paid withdrawal that is gone, with its hold, transfer and timeline. Raises InsufficientFunds.

    The account that was paid is what the bank repeats of it: its last digits at most.
    """
    assert payer.owner_id is not None
    now, payout_id = clock.now(), new_id()
    withdrawal = Withdrawal(
        id=withdrawal_id,
        owner_id=payer.owner_id,
        account_id=payer.id,
        bank=bank,
        account_number=answer.account_number or NOT_TOLD,
        ifsc=answer.ifsc or f"{BANKS[bank].ifsc_prefix}0XXXXXX",
        account_holder=answer.account_holder or "not known",
        amount=amount,
        currency=payer.currency,
        status=WithdrawalStatus.SUCCEEDED,
        hold_id=new_id(),
        transfer_id=payout_id,
        utr=fact.utr,
        attempts=1,
        retries=0,
        active_since=now,
        created_at=now,
        finished_at=now,
    )
    await post_one(session, PlaceHold(withdrawal.hold_id, payer.id, amount, payer.currency))
    await post_one(session, CaptureHold(withdrawal.hold_id, settlement.payout_of(withdrawal, payout_id)))
    session.add(withdrawal)
    await session.flush()
    paid: EventFacts = {"utr": fact.utr}
    await timeline.append(session, withdrawal_id, status=withdrawal.status, kind=EventKind.PAID, facts=paid)
    if isinstance(fact, PayoutReversed):
        await settlement.settle(session, withdrawal, fact)
