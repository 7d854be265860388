"""Carry out withdrawals: lease what is due, call the bank outside any transaction, record what was learnt.

A crash anywhere leaves a row whose lease expires. If it expires during a send, the withdrawal becomes `unknown` and the
bank is asked; during an enquiry its status stays.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TypeGuard
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock, spans
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, MayHaveBeenSent, NotSent, Refused
from shared.banks.messages import PayoutAnswer, PayoutRequest
from shared.banks.number_keys import NumberKeys, NumberUnreadable
from shared.config import WithdrawalTimings
from shared.db.engine import SessionMaker
from shared.db.outages import DATABASE_ERRORS, is_outage
from shared.db.retries import in_transaction
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.accounts import lock_accounts
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import circuit, cover, rows, timeline
from shared.withdrawals.bank_calls import BankCall, CallKind, Outcome
from shared.withdrawals.events import EventKind
from shared.withdrawals.facts import (
    CircuitOpen,
    Fact,
    InProgress,
    LeaseExpired,
    MayBeDone,
    NoAnswer,
    NotCovered,
    NotDone,
    NotFoundAtBank,
    Paid,
    PayoutRefused,
    PayoutReversed,
    WrongAmount,
)
from shared.withdrawals.freezes import Freezes
from shared.withdrawals.kept_numbers import KeptNumber
from shared.withdrawals.settlement import Change, apply_all, settle
from shared.withdrawals.states import Context, State, decide

_logger = logging.getLogger(__name__)

_OUR_DELAY = NotDone("our own delay", is_about_bank=False)
_FROZEN = NotDone("the account is frozen", is_about_bank=False)
_ONE_ACTIVE = "uq_withdrawals_one_active_per_owner"
# Uniform in [0, 1), to spread retries. Nothing secret depends on it.
_random_jitter = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Claimed:
    """Calls to make now, and when to look again.

    `more_is_due`: some of as many as were asked for were put off, so others may be due for the same slots.
    `next_due_at` (UTC) is when the next of those under way is due; None when there is none, or more is due now.
    """

    calls: list[BankCall]
    more_is_due: bool = False
    next_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """Carries out withdrawals. `clients` holds one BankClient per bank, built on the event loop that runs this.

    `freezes` asks on connections of its own: a payout must not wait for those of the sessions.
    """

    sessionmaker: SessionMaker
    freezes: Freezes
    clients: Mapping[str, BankClient]
    timings: WithdrawalTimings
    number_keys: NumberKeys
    jitter: Callable[[], float] = _random_jitter

    async def claim(self, free: Mapping[str, int], *, owner_id: UUID | None = None) -> Claimed:
        """Lease what is due, of each bank at most `free[bank]` withdrawals, and of each owner one; see `rows.lock_due`.

        A withdrawal whose bank has an open circuit is put off instead. Any number of workers may claim at once: the
        rows' locks, their leases and the unique index on active rows decide which of them makes a call.
        """
        try:
            return await self._claim(free, owner_id)
        except Exception as error:
            if owner_id is not None and isinstance(error, IntegrityError) and _ONE_ACTIVE in str(error.orig):
                return Claimed([])  # another worker has just started one of this owner's
            if owner_id is not None or is_outage(error):
                raise
            return await self._claim_apart(free)

    async def make(self, call: BankCall) -> Fact:
        """Make the call, with no transaction open. Raises nothing that a bank can cause."""
        client = self.clients[call.bank]
        if call.kind is CallKind.ENQUIRE:
            return await self._enquire(client, call)
        try:
            request = _payout_request(call, self.number_keys)
        except (NumberUnreadable, ValidationError):
            _logger.exception("withdrawal %s cannot be sent", call.withdrawal_id, extra={"facts": call.log_facts})
            return _OUR_DELAY
        try:
            if await self.freezes.stop(call.withdrawal_id, call.owner_id):
                return _FROZEN
        except DATABASE_ERRORS as error:
            _logger.warning("withdrawal %s is not sent: %s", call.withdrawal_id, type(error).__name__)
            return _OUR_DELAY
        # A worker that was suspended must not send when others may already have taken over the expired lease.
        latest_start = call.lease_expires_at - timedelta(seconds=self.timings.bank_timeout_seconds)
        if clock.now() >= latest_start:
            return _OUR_DELAY
        return await _send(client, call, request)

    async def record_all(self, outcomes: Sequence[Outcome]) -> None:
        """Record what was learnt from calls, all of it or nothing, in a fixed number of statements.

        An outcome counts only if its lease is still ours. That the bank paid is recorded in any case.
        """
        # After a commit without an answer it finds leases that have ended, and that the bank paid as recorded already.
        with spans.for_many("record outcomes", (spans.Context.read(call.traceparent) for call, _ in outcomes)):
            await in_transaction(self.sessionmaker, lambda session: self._record(session, outcomes))
        for call, fact in outcomes:
            line = "withdrawal %s: %s -> %s"
            _logger.info(line, call.withdrawal_id, call.kind, type(fact).__name__, extra={"facts": call.log_facts})
        await self._update_circuits(outcomes)

    async def _record(self, session: AsyncSession, outcomes: Sequence[Outcome]) -> None:
        withdrawals = await rows.lock_all(session, [call.withdrawal_id for call, _ in outcomes])
        ours: list[Outcome] = []
        late: list[Outcome] = []
        for outcome in outcomes:
            is_ours = withdrawals[outcome[0].withdrawal_id].lease_id == outcome[0].lease_id
            (ours if is_ours else late).append(outcome)
        if any(_counts_late(fact) for _, fact in late):
            await lock_accounts(session, _accounts_of(withdrawals.values()))
        acknowledged = await timeline.acknowledged_among(
            session,
            [call.withdrawal_id for call, fact in ours if isinstance(fact, InProgress | NotFoundAtBank | NotDone)],
        )
        changes = []
        for call, fact in ours:
            withdrawal = withdrawals[call.withdrawal_id]
            changes.append((withdrawal, decide(_state_of(withdrawal, acknowledged), fact, self._context())))
        await apply_all(session, changes)
        for call, fact in late:
            await _record_late(session, withdrawals[call.withdrawal_id], fact)

    async def _claim(self, free: Mapping[str, int], owner_id: UUID | None) -> Claimed:
        async def claim(session: AsyncSession) -> Claimed:
            now = clock.now()
            due = await rows.lock_due(session, free=free, now=now, owner_id=owner_id)
            found = Counter(withdrawal.bank for withdrawal in due)
            calls = await self._begin(session, due) if due else []
            put_off = found - Counter(call.bank for call in calls)
            more_is_due = any(found[bank] >= free[bank] for bank in put_off)
            next_due_at = None if more_is_due else await rows.next_due_at(session, now)
            return Claimed(calls, more_is_due, next_due_at)

        # Leases that may have been committed end by themselves, and then the bank is asked.
        return await in_transaction(self.sessionmaker, claim, at_most_once=True)

    async def _claim_apart(self, free: Mapping[str, int]) -> Claimed:
        """Claim what is due owner by owner: one that is busy, or fails, must not hold up the others."""
        async with self.sessionmaker() as session:  # only to look: nothing is committed
            due = await rows.lock_due(session, free=free, now=clock.now())
        calls: list[BankCall] = []
        for withdrawal in due:
            try:
                calls += (await self.claim({withdrawal.bank: 1}, owner_id=withdrawal.owner_id)).calls
            except Exception as error:
                if is_outage(error):
                    break
                _logger.exception("withdrawal %s cannot be begun", withdrawal.id)
        return Claimed(calls)

    async def _begin(self, session: AsyncSession, due: Sequence[Withdrawal]) -> list[BankCall]:
        """Lease these locked withdrawals, or put them off; what was interrupted during a send becomes `unknown`.

        So does what a restored database does not know to be sent. What is to be sent and our books do not cover needs
        review.
        """
        interrupted = [one for one in due if one.status is WithdrawalStatus.IN_FLIGHT or one.ask_bank_first]
        for withdrawal in interrupted:
            withdrawal.active_since = withdrawal.active_since or clock.now()
            withdrawal.ask_bank_first = False
        await apply_all(
            session, [(one, decide(_state_of(one), LeaseExpired(), self._context())) for one in interrupted]
        )
        calls: list[BankCall] = []
        put_off: list[Change] = []
        permissions: dict[str, circuit.Permission] = {}
        not_covered = await cover.not_covered(session, [one.id for one in due if one.status.may_be_sent])
        for withdrawal in due:
            withdrawal.active_since = withdrawal.active_since or clock.now()
            if withdrawal.id in not_covered:
                put_off.append((withdrawal, decide(_state_of(withdrawal), NotCovered(), self._context())))
                continue
            bank = withdrawal.bank
            if bank in permissions:
                permissions[bank] = permissions[bank].of_next_call
            else:
                permissions[bank] = await circuit.ask(session, bank, probe_seconds=self.timings.lease_seconds)
            permission = permissions[bank]
            if permission.open_until is None:
                calls.append(self._lease(withdrawal, permission))
            else:
                fact = CircuitOpen(permission.open_until)
                put_off.append((withdrawal, decide(_state_of(withdrawal), fact, self._context())))
        await session.flush()
        await timeline.append_all(session, [_sending(call) for call in calls if call.kind is CallKind.SEND])
        await apply_all(session, put_off)
        return calls

    def _lease(self, withdrawal: Withdrawal, permission: circuit.Permission) -> BankCall:
        """From the queue or from `waiting` it is sent, and from no other status: otherwise the bank is asked."""
        kind = CallKind.SEND if withdrawal.status.may_be_sent else CallKind.ENQUIRE
        if kind is CallKind.SEND:
            withdrawal.status = WithdrawalStatus.IN_FLIGHT
            withdrawal.attempts += 1
            withdrawal.first_not_found_at = None
        lease_id, expires_at = new_id(), clock.now() + timedelta(seconds=self.timings.lease_seconds)
        withdrawal.lease_id, withdrawal.lease_expires_at = lease_id, expires_at
        withdrawal.next_attempt_at = expires_at
        return BankCall(
            kind=kind,
            owner_id=withdrawal.owner_id,
            withdrawal_id=withdrawal.id,
            bank=withdrawal.bank,
            amount=withdrawal.amount,
            attempt=withdrawal.attempts,
            lease_id=lease_id,
            lease_expires_at=expires_at,
            is_probe=permission.is_probe,
            number=KeptNumber.of(withdrawal),
            account_holder=withdrawal.account_holder,
            traceparent=withdrawal.traceparent,
        )

    async def _enquire(self, client: BankClient, call: BankCall) -> Fact:
        try:
            answer = await client.enquire(str(call.withdrawal_id))
        except (BankFailed, Refused) as error:
            return NoAnswer(error.reason)
        return NotFoundAtBank() if answer is None else _fact_of(answer, call)

    async def _update_circuits(self, outcomes: Sequence[Outcome]) -> None:
        """In the order in which the calls ended; answers that come one after another are one answer."""
        said = [(call.bank, says, call.is_probe) for call, fact in outcomes if (says := _about_bank(fact)) is not None]
        for (bank, answers), group in groupby(sorted(said, key=itemgetter(0)), key=itemgetter(0, 1)):
            if answers:
                await self._record_answer(bank)
            else:
                for _, _, is_probe in group:
                    await self._record_failure(bank, is_probe)

    async def _record_failure(self, bank: str, is_probe: bool) -> None:
        async def record(session: AsyncSession) -> datetime | None:
            return await circuit.record_failure(session, bank, self.timings, is_probe=is_probe, jitter=self.jitter())

        open_until = await in_transaction(self.sessionmaker, record, at_most_once=True)
        if open_until is not None:
            _logger.warning("circuit of %s is open until %s", bank, open_until.isoformat())

    async def _record_answer(self, bank: str) -> None:
        was_open = await in_transaction(self.sessionmaker, lambda session: circuit.record_answer(session, bank))
        if was_open:
            _logger.info("circuit of %s is closed: the bank answers again", bank)

    def _context(self) -> Context:
        return Context(now=clock.now(), timings=self.timings, jitter=self.jitter())


async def _send(client: BankClient, call: BankCall, request: PayoutRequest) -> Fact:
    try:
        return _fact_of(await client.pay(request), call)
    except Refused as refused:
        return PayoutRefused(refused.reason)
    except NotSent as error:
        return NotDone(error.reason)
    except MayHaveBeenSent as error:
        return MayBeDone(error.reason)


def _fact_of(answer: PayoutAnswer, call: BankCall) -> Fact:
    reason = answer.code or answer.message or "the bank gave no reason"
    if answer.amount not in (None, call.amount):
        return WrongAmount(answer.amount)
    match answer.status:
        case "SUCCESS":
            return Paid(answer.utr)
        case "FAILED":
            return PayoutRefused(reason)
        case "REVERSED":
            return PayoutReversed(answer.utr, reason)
        case "PROCESSING":
            return InProgress()


def _about_bank(fact: Fact) -> bool | None:
    """Whether the bank answered, as its circuit counts it; None when the fact says nothing about that."""
    if isinstance(fact, NotDone) and not fact.is_about_bank:
        return None
    return not isinstance(fact, NotDone | MayBeDone | NoAnswer)


def _sending(call: BankCall) -> timeline.NewEvent:
    return timeline.NewEvent(
        call.withdrawal_id, WithdrawalStatus.IN_FLIGHT, EventKind.SENDING, {"attempt": call.attempt}
    )


async def _record_late(session: AsyncSession, withdrawal: Withdrawal, fact: Fact) -> None:
    """Record what came after the lease had ended, if it says that the bank paid."""
    if _counts_late(fact):
        await settle(session, withdrawal, fact)
    else:
        _logger.warning("withdrawal %s: %s came after the lease expired", withdrawal.id, type(fact).__name__)


def _counts_late(fact: Fact) -> TypeGuard[Paid | PayoutReversed]:
    return isinstance(fact, Paid | PayoutReversed)


def _accounts_of(withdrawals: Iterable[Withdrawal]) -> set[UUID]:
    """The accounts between which the money of these withdrawals can move."""
    found: set[UUID] = set()
    for withdrawal in withdrawals:
        found |= {withdrawal.account_id, system_accounts.SETTLEMENT[withdrawal.bank]}
    return found


def _state_of(withdrawal: Withdrawal, acknowledged: Set[UUID] = frozenset()) -> State:
    assert withdrawal.active_since is not None
    return State(
        status=withdrawal.status,
        active_since=withdrawal.active_since,
        retries=withdrawal.retries,
        first_not_found_at=withdrawal.first_not_found_at,
        was_acknowledged=withdrawal.id in acknowledged,
    )


def _payout_request(call: BankCall, number_keys: NumberKeys) -> PayoutRequest:
    return PayoutRequest(
        reference=str(call.withdrawal_id),
        account_number=call.number.whole(number_keys),
        ifsc=call.number.ifsc,
        account_holder=call.account_holder,
        amount=call.amount,
        user_ref=str(call.owner_id),
    )
