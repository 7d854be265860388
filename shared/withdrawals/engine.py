"""Carry out withdrawals: lease what is due, call the bank outside any transaction, record what was learnt.

A crash anywhere leaves a row whose lease expires. If it expires during a send, the withdrawal becomes `unknown` and the
bank is asked; during an enquiry its status stays.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, MayHaveBeenSent, NotSent, Refused
from shared.banks.messages import PayoutAnswer, PayoutRequest
from shared.config import WithdrawalTimings
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import Withdrawal
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import circuit, rows, timeline
from shared.withdrawals.events import EventKind
from shared.withdrawals.facts import (
    CircuitOpen,
    Fact,
    InProgress,
    LeaseExpired,
    MayBeDone,
    NoAnswer,
    NotDone,
    NotFoundAtBank,
    Paid,
    PayoutRefused,
    PayoutReversed,
    WrongAmount,
)
from shared.withdrawals.settlement import apply, settle
from shared.withdrawals.states import Context, State, decide

_logger = logging.getLogger(__name__)

MAX_CALLS_PER_RUN = 10
"""How many calls to the bank one run makes before other owners get their turn."""
_ONE_ACTIVE = "uq_withdrawals_one_active_per_owner"
# Uniform in [0, 1), to spread retries. Nothing secret depends on it.
_random_jitter = random.SystemRandom().random


class CallKind(StrEnum):
    """What a call to the bank does."""

    SEND = "send"
    """Send the payout."""
    ENQUIRE = "enquire"
    """Ask what became of it."""


@dataclass(frozen=True, slots=True)
class BankCall:
    """One call to make for one withdrawal, valid until the lease expires."""

    kind: CallKind
    owner_id: UUID
    withdrawal_id: UUID
    bank: str
    amount: int
    lease_id: UUID
    lease_expires_at: datetime
    is_probe: bool
    request: PayoutRequest = field(repr=False)
    """Holds the whole account number, so it stays out of every log."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How many calls a run made for an owner, and when another run is due (UTC).

    None: this run made no call, or the owner has no withdrawal left.
    """

    calls: int
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Engine:
    """Carries out withdrawals. `clients` holds one BankClient per bank, built on the event loop that runs this."""

    sessionmaker: SessionMaker
    clients: Mapping[str, BankClient]
    timings: WithdrawalTimings
    jitter: Callable[[], float] = _random_jitter

    async def advance(
        self, owner_id: UUID, max_calls: int = MAX_CALLS_PER_RUN, is_stopping: Callable[[], bool] = lambda: False
    ) -> RunResult:
        """Do what is due for this owner, one withdrawal after the other, with at most `max_calls` calls.

        No call begins once `is_stopping` says so: a worker that is told to stop ends within one call.
        Any number of workers may run this at once: the row's lock, its lease and the unique index on active rows
        decide which of them makes a call.
        """
        for calls in range(max_calls):
            call = None if is_stopping() else await self.next_call(owner_id)
            if call is None:
                return RunResult(calls, await self._next_due_at(owner_id) if calls else None)
            await self.record(call, await self.make(call))
        return RunResult(max_calls, clock.now())

    async def owners_due(self, limit: int) -> list[UUID]:
        """Owners for whom something can be done now, the longest waiting first; at most `limit`. Changes nothing.

        It finds what a lost hint, a crashed worker or an emptied broker left behind.
        """
        async with self.sessionmaker() as session:
            return await rows.owners_due(session, clock.now(), limit)

    async def next_call(self, owner_id: UUID) -> BankCall | None:
        """Lease the owner's active withdrawal if it is due, or the first of the queue. None: nothing to do."""
        try:
            async with self.sessionmaker.begin() as session:
                withdrawal = await rows.lock_active(session, owner_id)
                if withdrawal is not None:
                    return await self._continue(session, withdrawal)
                withdrawal = await rows.lock_first_queued(session, owner_id)
                return None if withdrawal is None else await self._begin_send(session, withdrawal)
        except IntegrityError as error:
            if _ONE_ACTIVE not in str(error.orig):
                raise
            return None  # another worker has just started one of this owner's

    async def make(self, call: BankCall) -> Fact:
        """Make the call, with no transaction open. Raises nothing that a bank can cause."""
        client = self.clients[call.bank]
        if call.kind is CallKind.ENQUIRE:
            return await self._enquire(client, call)
        # A worker that was suspended must not send when others may already have taken over the expired lease.
        latest_start = call.lease_expires_at - timedelta(seconds=self.timings.bank_timeout_seconds)
        if clock.now() >= latest_start:
            return NotDone("our own delay", is_about_bank=False)
        try:
            return _fact_of(await client.pay(call.request), call)
        except Refused as refused:
            return PayoutRefused(refused.reason)
        except NotSent as error:
            return NotDone(error.reason)
        except MayHaveBeenSent as error:
            return MayBeDone(error.reason)

    async def record(self, call: BankCall, fact: Fact) -> None:
        """Record what was learnt, if the lease is still ours. That the bank paid is recorded in any case."""
        async with self.sessionmaker.begin() as session:
            withdrawal = await rows.lock(session, call.withdrawal_id)
            assert withdrawal is not None, "withdrawals are never deleted"
            if withdrawal.lease_id == call.lease_id:
                state = _state_of(withdrawal)
                if isinstance(fact, InProgress | NotFoundAtBank | NotDone):
                    acknowledged = await timeline.was_acknowledged(session, withdrawal.id)
                    state = replace(state, was_acknowledged=acknowledged)
                await apply(session, withdrawal, decide(state, fact, self._context()))
            elif isinstance(fact, Paid | PayoutReversed):
                await settle(session, withdrawal, fact)
            else:
                _logger.warning(
                    "withdrawal %s: %s came after the lease expired", call.withdrawal_id, type(fact).__name__
                )
        _logger.info("withdrawal %s: %s -> %s", call.withdrawal_id, call.kind, type(fact).__name__)
        await self._update_circuit(call, fact)

    async def _continue(self, session: AsyncSession, withdrawal: Withdrawal) -> BankCall | None:
        now = clock.now()
        if withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > now:
            return None
        if withdrawal.status is WithdrawalStatus.IN_FLIGHT:
            await apply(session, withdrawal, decide(_state_of(withdrawal), LeaseExpired(), self._context()))
        elif withdrawal.next_attempt_at is not None and withdrawal.next_attempt_at > now:
            return None
        if withdrawal.status is WithdrawalStatus.WAITING:
            return await self._begin_send(session, withdrawal)
        permission = await self._ask_circuit(session, withdrawal)
        return None if permission is None else await self._lease(session, withdrawal, CallKind.ENQUIRE, permission)

    async def _begin_send(self, session: AsyncSession, withdrawal: Withdrawal) -> BankCall | None:
        """From the queue or from `waiting`: no payout is sent from any other status."""
        assert withdrawal.status.may_be_sent
        withdrawal.active_since = withdrawal.active_since or clock.now()
        permission = await self._ask_circuit(session, withdrawal)
        if permission is None:
            return None
        withdrawal.status = WithdrawalStatus.IN_FLIGHT
        withdrawal.attempts += 1
        withdrawal.first_not_found_at = None
        call = await self._lease(session, withdrawal, CallKind.SEND, permission)
        await timeline.append(
            session,
            withdrawal.id,
            status=withdrawal.status,
            kind=EventKind.SENDING,
            facts={"attempt": withdrawal.attempts},
        )
        return call

    async def _ask_circuit(self, session: AsyncSession, withdrawal: Withdrawal) -> circuit.Permission | None:
        """Permission to call the bank. Without it the withdrawal is put off."""
        permission = await circuit.ask(session, withdrawal.bank, probe_seconds=self.timings.lease_seconds)
        if permission.open_until is None:
            return permission
        transition = decide(_state_of(withdrawal), CircuitOpen(permission.open_until), self._context())
        await apply(session, withdrawal, transition)
        return None

    async def _lease(
        self, session: AsyncSession, withdrawal: Withdrawal, kind: CallKind, permission: circuit.Permission
    ) -> BankCall:
        lease_id, expires_at = new_id(), clock.now() + timedelta(seconds=self.timings.lease_seconds)
        withdrawal.lease_id, withdrawal.lease_expires_at = lease_id, expires_at
        withdrawal.next_attempt_at = expires_at
        await session.flush()
        return BankCall(
            kind=kind,
            owner_id=withdrawal.owner_id,
            withdrawal_id=withdrawal.id,
            bank=withdrawal.bank,
            amount=withdrawal.amount,
            lease_id=lease_id,
            lease_expires_at=expires_at,
            is_probe=permission.is_probe,
            request=_payout_request(withdrawal),
        )

    async def _enquire(self, client: BankClient, call: BankCall) -> Fact:
        try:
            answer = await client.enquire(call.request.reference)
        except (BankFailed, Refused) as error:
            return NoAnswer(error.reason)
        return NotFoundAtBank() if answer is None else _fact_of(answer, call)

    async def _update_circuit(self, call: BankCall, fact: Fact) -> None:
        match fact:
            case NotDone(is_about_bank=False):
                return
            case NotDone() | MayBeDone() | NoAnswer():
                async with self.sessionmaker.begin() as session:
                    open_until = await circuit.record_failure(
                        session, call.bank, self.timings, is_probe=call.is_probe, jitter=self.jitter()
                    )
                if open_until is not None:
                    _logger.warning("circuit of %s is open until %s", call.bank, open_until.isoformat())
            case _:
                async with self.sessionmaker.begin() as session:
                    if await circuit.record_answer(session, call.bank):
                        _logger.info("circuit of %s is closed: the bank answers again", call.bank)

    async def _next_due_at(self, owner_id: UUID) -> datetime | None:
        async with self.sessionmaker() as session:
            return await rows.next_due_at(session, owner_id)

    def _context(self) -> Context:
        return Context(now=clock.now(), timings=self.timings, jitter=self.jitter())


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


def _state_of(withdrawal: Withdrawal) -> State:
    assert withdrawal.active_since is not None
    return State(
        status=withdrawal.status,
        active_since=withdrawal.active_since,
        retries=withdrawal.retries,
        first_not_found_at=withdrawal.first_not_found_at,
    )


def _payout_request(withdrawal: Withdrawal) -> PayoutRequest:
    return PayoutRequest(
        reference=str(withdrawal.id),
        account_number=withdrawal.account_number,
        ifsc=withdrawal.ifsc,
        account_holder=withdrawal.account_holder,
        amount=withdrawal.amount,
        user_ref=str(withdrawal.owner_id),
    )
