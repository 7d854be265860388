"""Write a transition: the row, its money, its timeline and its mail, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.account_numbers import masked
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import CaptureHold, ReleaseHold, Transfer
from shared.models import Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.outbox.messages import Message, write
from shared.withdrawals import timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Conclusion, Paid, PayoutRefused, PayoutReversed
from shared.withdrawals.states import MoneyMove, Transition, verdict_on

_logger = logging.getLogger(__name__)

MAX_REASON_LENGTH = 200
_BANK_SAYS: dict[type[Conclusion], str] = {Paid: "Paid", PayoutRefused: "TurnedDown", PayoutReversed: "SentBack"}
"""What the bank says happened, as timelines store it and the API shows it."""


async def apply(session: AsyncSession, withdrawal: Withdrawal, transition: Transition) -> None:
    """Apply the transition to a locked withdrawal and end its lease. Raises what the ledger raises."""
    transfer_ids = await _move_money(session, withdrawal, transition.money)
    # All at once: a row that is half changed breaks its own constraints as soon as it is written.
    withdrawal.transfer_id, withdrawal.reversal_transfer_id = transfer_ids
    withdrawal.status = transition.status
    withdrawal.lease_id = withdrawal.lease_expires_at = None
    withdrawal.next_attempt_at = transition.next_attempt_at
    withdrawal.retries = transition.retries
    withdrawal.first_not_found_at = transition.first_not_found_at
    if transition.status.is_final:
        _record_end(withdrawal, transition)
    await session.flush()
    if transition.adds_event:
        await timeline.append(
            session, withdrawal.id, status=transition.status, kind=transition.kind, facts=transition.facts
        )
    if transition.status.is_final:
        await write(session, [_mail(withdrawal)])
    elif transition.status is WithdrawalStatus.NEEDS_REVIEW and transition.adds_event:
        alert(withdrawal, transition.kind)


async def settle(session: AsyncSession, withdrawal: Withdrawal, fact: Conclusion) -> Verdict:
    """Do to a locked withdrawal, in any status, what follows from the bank's word."""
    verdict, transition = verdict_on(
        fact, status=withdrawal.status, known_utr=withdrawal.utr, is_being_sent=_may_be_being_sent(withdrawal)
    )
    if transition is not None:
        await apply(session, withdrawal, transition)
    elif verdict is Verdict.NOTED:
        await _record_refusal(session, withdrawal, fact)
    elif verdict is Verdict.CONTRADICTION:
        await _record_contradiction(session, withdrawal, fact)
    return verdict


def _may_be_being_sent(withdrawal: Withdrawal) -> bool:
    """Whether a worker may be sending it now. Under review, the lease does not say what the call is."""
    is_leased = withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > clock.now()
    return is_leased and withdrawal.status.lease_may_be_for_sending


async def _record_refusal(session: AsyncSession, withdrawal: Withdrawal, fact: Conclusion) -> None:
    """Record it once. The lease stays, and the worker that holds it goes on from there."""
    assert isinstance(fact, PayoutRefused)
    kind = EventKind.REFUSED_DURING_SEND
    if not await timeline.has_event(session, withdrawal.id, kind):
        facts: EventFacts = {"reason": fact.reason[:MAX_REASON_LENGTH]}
        await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=kind, facts=facts)
    _logger.warning("withdrawal %s: the bank says refused while it may be being sent", withdrawal.id)


async def _record_contradiction(session: AsyncSession, withdrawal: Withdrawal, fact: Conclusion) -> None:
    kind = EventKind.CONTRADICTION
    facts: EventFacts = {"claim": _BANK_SAYS[type(fact)], "utr": None if isinstance(fact, PayoutRefused) else fact.utr}
    await timeline.append(session, withdrawal.id, status=withdrawal.status, kind=kind, facts=facts)
    alert(withdrawal, kind)


def alert(withdrawal: Withdrawal, why: EventKind) -> None:
    """Log an ERROR line: operators are alerted by those."""
    facts = {
        "withdrawal_id": str(withdrawal.id),
        "status": withdrawal.status,
        "bank": withdrawal.bank,
        "amount": withdrawal.amount,
        "why": why.value,
    }
    _logger.error("withdrawal %s needs a person: %s", withdrawal.id, why, extra={"facts": facts})


async def _move_money(
    session: AsyncSession, withdrawal: Withdrawal, moves: Sequence[MoneyMove]
) -> tuple[UUID | None, UUID | None]:
    """Make the moves in order. Returns the ids of the payout and of its reversal, as far as there are any by now."""
    payout_id, reversal_id = withdrawal.transfer_id, withdrawal.reversal_transfer_id
    for move in moves:
        if move is MoneyMove.CAPTURE:
            payout = _transfer(withdrawal, new_id())
            await post_one(session, CaptureHold(withdrawal.hold_id, payout))
            payout_id = payout.id
        elif move is MoneyMove.RELEASE:
            await post_one(session, ReleaseHold(withdrawal.hold_id, withdrawal.account_id))
        else:
            assert payout_id is not None, "only what was paid out can be reversed"
            reversal = _reversal(withdrawal, new_id(), payout_id)
            await post_one(session, reversal)
            reversal_id = reversal.id
    return payout_id, reversal_id


def _transfer(withdrawal: Withdrawal, transfer_id: UUID) -> Transfer:
    return Transfer(
        id=transfer_id,
        kind="payout",
        debit_account_id=withdrawal.account_id,
        credit_account_id=system_accounts.SETTLEMENT[withdrawal.bank],
        amount=withdrawal.amount,
        currency=withdrawal.currency,
        note=f"To {masked(withdrawal.account_number)}",
        initiated_by=withdrawal.owner_id,
    )


def _reversal(withdrawal: Withdrawal, transfer_id: UUID, payout_id: UUID) -> Transfer:
    return Transfer(
        id=transfer_id,
        kind="payout_reversal",
        debit_account_id=system_accounts.SETTLEMENT[withdrawal.bank],
        credit_account_id=withdrawal.account_id,
        amount=withdrawal.amount,
        currency=withdrawal.currency,
        note=f"Sent back from {masked(withdrawal.account_number)}",
        reverses=payout_id,
    )


def _record_end(withdrawal: Withdrawal, transition: Transition) -> None:
    withdrawal.finished_at = clock.now()
    withdrawal.utr = transition.facts.get("utr") or withdrawal.utr
    reason = transition.facts.get("reason")
    withdrawal.failure_reason = None if reason is None else str(reason)[:MAX_REASON_LENGTH]


def _mail(withdrawal: Withdrawal) -> Message:
    """What the mail says: amount in paise, the account masked."""
    return Message(
        "withdrawal_finished",
        withdrawal.owner_id,
        {
            "withdrawal_id": str(withdrawal.id),
            "status": withdrawal.status,
            "amount": withdrawal.amount,
            "currency": withdrawal.currency,
            "bank": withdrawal.bank,
            "account_number": masked(withdrawal.account_number),
            "utr": withdrawal.utr,
            "reason": withdrawal.failure_reason,
        },
    )
