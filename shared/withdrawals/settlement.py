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
from shared.ledger.post import post
from shared.ledger.rules import CaptureHold, Command, Rejected, ReleaseHold, Transfer
from shared.models import Withdrawal
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.outbox.messages import Message, write
from shared.withdrawals import timeline
from shared.withdrawals.events import EventFacts, EventKind
from shared.withdrawals.facts import Conclusion, Paid, PayoutRefused, PayoutReversed
from shared.withdrawals.states import MoneyMove, Transition, verdict_on

_logger = logging.getLogger(__name__)

Change = tuple[Withdrawal, Transition]
"""A locked withdrawal and what becomes of it."""

MAX_REASON_LENGTH = 200
_BANK_SAYS: dict[type[Conclusion], str] = {Paid: "Paid", PayoutRefused: "TurnedDown", PayoutReversed: "SentBack"}
"""What the bank says happened, as timelines store it and the API shows it."""


async def apply(session: AsyncSession, withdrawal: Withdrawal, transition: Transition) -> None:
    """Apply the transition to a locked withdrawal and end its lease. Raises what the ledger raises."""
    await apply_all(session, [(withdrawal, transition)])


async def apply_all(session: AsyncSession, changes: Sequence[Change]) -> None:
    """Apply a transition to each of these locked withdrawals, in a fixed number of statements, and end their leases.

    Raises what the ledger raises for any of them; then none is applied.
    """
    moved = await _move_money(session, changes)
    for withdrawal, transition in changes:
        # All at once: a row that is half changed breaks its own constraints as soon as it is written.
        withdrawal.transfer_id, withdrawal.reversal_transfer_id = moved[withdrawal.id]
        withdrawal.status = transition.status
        withdrawal.lease_id = withdrawal.lease_expires_at = None
        withdrawal.next_attempt_at = transition.next_attempt_at
        withdrawal.retries = transition.retries
        withdrawal.first_not_found_at = transition.first_not_found_at
        if transition.status.is_final:
            _record_end(withdrawal, transition)
    await session.flush()
    added = [(withdrawal, transition) for withdrawal, transition in changes if transition.adds_event]
    await timeline.append_all(
        session,
        [timeline.NewEvent(withdrawal.id, new.status, new.kind, new.facts) for withdrawal, new in added],
    )
    await write(session, [_mail(withdrawal) for withdrawal, transition in changes if transition.status.is_final])
    for withdrawal, transition in added:
        if transition.status is WithdrawalStatus.NEEDS_REVIEW:
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


async def _move_money(session: AsyncSession, changes: Sequence[Change]) -> dict[UUID, tuple[UUID | None, UUID | None]]:
    """Make every change's moves in their order: all first moves in one batch, then all second ones.

    Returns the ids of the payout and of its reversal, as far as there are any by now, for each withdrawal.
    """
    moved = {withdrawal.id: (withdrawal.transfer_id, withdrawal.reversal_transfer_id) for withdrawal, _ in changes}
    for turn in range(max((len(transition.money) for _, transition in changes), default=0)):
        commands: list[Command] = []
        for withdrawal, transition in changes:
            if turn < len(transition.money):
                command, moved[withdrawal.id] = _command(withdrawal, transition.money[turn], moved[withdrawal.id])
                commands.append(command)
        for outcome in await post(session, commands):
            if isinstance(outcome, Rejected):
                raise outcome.error
    return moved


def _command(
    withdrawal: Withdrawal, move: MoneyMove, so_far: tuple[UUID | None, UUID | None]
) -> tuple[Command, tuple[UUID | None, UUID | None]]:
    """What the ledger is told, and the ids of payout and reversal after that."""
    payout_id, reversal_id = so_far
    match move:
        case MoneyMove.CAPTURE:
            payout = payout_of(withdrawal, new_id())
            return CaptureHold(withdrawal.hold_id, payout), (payout.id, reversal_id)
        case MoneyMove.RELEASE:
            return ReleaseHold(withdrawal.hold_id, withdrawal.account_id), so_far
        case MoneyMove.REVERSE:
            assert payout_id is not None, "only what was paid out can be reversed"
            reversal = _reversal(withdrawal, new_id(), payout_id)
            return reversal, (payout_id, reversal.id)


def payout_of(withdrawal: Withdrawal, transfer_id: UUID) -> Transfer:
    """The transfer that captures its hold."""
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
