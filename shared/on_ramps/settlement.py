"""The only module that ends an on-ramp: on a notice of the bank, on its answer to an enquiry, or without an answer.

`rules.judge` decides about notices. Many are settled at once in three statements, one in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock, spans
from shared.banks.notices import PaymentNotice
from shared.db.transaction import SessionTransaction, Transaction
from shared.db.writes import Write, write_all
from shared.ids import new_id
from shared.ledger.metrics import count_moved_after_commit
from shared.ledger.post import decide_locked
from shared.ledger.rules import Outcome, Rejected
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.rules import Decision, OnRampState, judge
from shared.outbox.messages import Message, rows_of
from shared.wakeups.commits import wake_after_commit

# The token, then the fields of OnRampState in their order. In id order, so that two batches cannot deadlock.
_LOCK = """
    SELECT token, status, id, owner_id, account_id, bank, amount, currency, bank_reference, failure_reason, transfer_id,
           is_late_success, is_contradicted, settled_at, cancel_requested_at IS NOT NULL, traceparent
    FROM on_ramps JOIN unnest($1::text[], $2::text[]) AS named (bank, token) USING (bank, token)
    ORDER BY id FOR NO KEY UPDATE OF on_ramps
"""
# Whatever a notice changes has ended, so nothing is left to ask the bank about.
_UPDATE = """
    UPDATE on_ramps SET status = settled.status, bank_reference = settled.bank_reference,
                        failure_reason = settled.failure_reason, transfer_id = settled.transfer_id,
                        is_late_success = settled.is_late_success, is_contradicted = settled.is_contradicted,
                        settled_at = settled.settled_at, next_enquiry_at = NULL
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::boolean[], $7::boolean[],
                $8::timestamptz[])
         AS settled (id, status, bank_reference, failure_reason, transfer_id, is_late_success, is_contradicted,
                     settled_at)
    WHERE on_ramps.id = settled.id
"""

_Name = tuple[str, str]
"""Bank and token: what a notice calls an on-ramp."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """What was made of a notice. `on_ramp_id` is None when the token is unknown."""

    verdict: Verdict
    on_ramp_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One outcome per notice, in their order; the rows to write; the accounts whose owners see something new; and what
    the ledger posts with that.
    """

    outcomes: Sequence[PaymentOutcome]
    writes: Sequence[Write]
    account_ids: Sequence[UUID]
    posted: Sequence[Outcome]


async def settle(session: AsyncSession, notice: PaymentNotice) -> PaymentOutcome:
    """Do what `notice` says, once. Status, ledger transfer and mail are part of the caller's transaction.

    Raises the ledger's error when it rejects the credit: roll back. Rows of the session are written before, and are not
    read again after.
    """
    await session.flush()
    transaction = SessionTransaction(session)
    settled = await settle_all(transaction, [notice], brought_by=[spans.context()])
    await write_all(transaction, settled.writes)
    wake_after_commit(session, settled.account_ids)
    count_moved_after_commit(session, settled.posted)
    (outcome,) = settled.outcomes
    return outcome


async def settle_all(
    transaction: Transaction, notices: Sequence[PaymentNotice], *, brought_by: Sequence[spans.Context | None]
) -> Settled:
    """Lock the on-ramps that the notices name, then the accounts, and decide as if the notices came one by one.

    Nothing is written yet: the caller writes `writes` together with rows of its own. Each notice is a step of the trace
    of its on-ramp's request, and names the trace that brought it. Raises the ledger's error when it rejects one of the
    credits: roll back, and settle the notices apart.
    """
    before = await _lock(transaction, {(notice.bank, notice.token) for notice in notices})
    after = dict(before)
    outcomes, transfers, messages = [], [], []
    for notice, trace in zip(notices, brought_by, strict=True):
        name = (notice.bank, notice.token)
        if name not in after:
            outcomes.append(PaymentOutcome(Verdict.UNKNOWN_TOKEN))
            continue
        decision = _judged(after[name], notice, trace)
        after[name] = decision.on_ramp
        outcomes.append(PaymentOutcome(decision.verdict, decision.on_ramp.id))
        if decision.credit is not None:
            transfers.append(decision.credit)
            messages.append(_money_received(decision.on_ramp, decision.credit.id))
    decided = await decide_locked(transaction, transfers)
    for rejected in (outcome for outcome in decided.outcomes if isinstance(outcome, Rejected)):
        raise rejected.error
    changed = _changed([on_ramp for name, on_ramp in after.items() if on_ramp is not before[name]])
    writes = [decided.posting, changed, rows_of(messages)]
    account_ids = [on_ramp.account_id for on_ramp in before.values()]
    return Settled(outcomes, writes, account_ids, decided.outcomes)


def fail(on_ramp: OnRamp, reason: str) -> None:
    """End a pending, locked row without a credit: failed, or cancelled if the person has asked for it.

    A success that comes later is still credited.
    """
    is_cancel_requested = on_ramp.cancel_requested_at is not None
    on_ramp.status = OnRampStatus.CANCELLED if is_cancel_requested else OnRampStatus.FAILURE
    on_ramp.failure_reason = reason
    on_ramp.next_enquiry_at = None
    on_ramp.settled_at = clock.now()


def _judged(on_ramp: OnRampState, notice: PaymentNotice, brought_by: spans.Context | None) -> Decision:
    about = {"batua.on_ramp_id": str(on_ramp.id)}
    # In the trace of the request for it, which began long before the bank's.
    with spans.go_on(on_ramp.traceparent, f"notice {notice.event}", links=[brought_by], attributes=about) as step:
        decision = judge(on_ramp, notice, transfer_id=new_id(), at=clock.now())
        step.describe({"batua.verdict": decision.verdict})
        _logger.info("on-ramp %s: %s says %s, %s", on_ramp.id, notice.bank, notice.event, decision.verdict)
        return decision


async def _lock(transaction: Transaction, names: Iterable[_Name]) -> dict[_Name, OnRampState]:
    """The on-ramps as they are now, locked until the transaction ends."""
    named = list(names)
    if not named:
        return {}
    found: dict[_Name, OnRampState] = {}
    rows = await transaction.fetch(_LOCK, [bank for bank, _ in named], [token for _, token in named])
    for token, status, *others in rows:
        on_ramp = OnRampState(OnRampStatus(status), *others)
        found[on_ramp.bank, token] = on_ramp
    return found


def _changed(on_ramps: Sequence[OnRampState]) -> Write:
    columns = (
        [on_ramp.id for on_ramp in on_ramps],
        [on_ramp.status for on_ramp in on_ramps],
        [on_ramp.bank_reference for on_ramp in on_ramps],
        [on_ramp.failure_reason for on_ramp in on_ramps],
        [on_ramp.transfer_id for on_ramp in on_ramps],
        [on_ramp.is_late_success for on_ramp in on_ramps],
        [on_ramp.is_contradicted for on_ramp in on_ramps],
        [on_ramp.settled_at for on_ramp in on_ramps],
    )
    return Write(_UPDATE, columns, len(on_ramps))


def _money_received(on_ramp: OnRampState, transfer_id: UUID) -> Message:
    facts = {"amount": on_ramp.amount, "currency": on_ramp.currency, "kind": "onramp", "bank": on_ramp.bank}
    return Message("money_received", on_ramp.owner_id, {**facts, "transfer_id": str(transfer_id)})
