"""The worker's side: take what is due under a lease, call the bank outside any transaction, write down the outcome.

A crash anywhere leaves a row whose lease runs out; from then on it counts as `unknown`, and the bank is asked.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
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
from shared.withdrawals.settlement import apply_step, settle
from shared.withdrawals.states import (
    Abandoned,
    BankShut,
    Fact,
    InProgress,
    MayBeDone,
    Moment,
    NoAnswer,
    NotDone,
    NotKnownThere,
    Paid,
    SentBack,
    Standing,
    TurnedDown,
    WrongAmount,
    decide,
)

_logger = logging.getLogger(__name__)

MAX_JOBS_AT_ONCE = 10
"""How many calls to the bank one hint may lead to before others get their turn."""
_ONE_ACTIVE = "uq_withdrawals_one_active_per_owner"
# A uniform draw in [0, 1) to spread retries; nothing secret depends on it.
_draw = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Job:
    """One call to make for one withdrawal, good until the lease ends."""

    errand: Literal["send", "enquire"]
    owner_id: UUID
    withdrawal_id: UUID
    bank: str
    amount: int
    lease_id: UUID
    lease_expires_at: datetime
    is_probe: bool
    asked: PayoutRequest = field(repr=False)
    """Holds the whole account number, so it stays out of every log."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a run did for an owner, and when it is worth looking again (None: nothing is left, or others see to it)."""

    jobs: int
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Engine:
    """Carries withdrawals out. `clients` holds one BankClient per bank, built on the loop that runs this."""

    sessionmaker: SessionMaker
    clients: Mapping[str, BankClient]
    timings: WithdrawalTimings
    draw: Callable[[], float] = _draw

    async def advance(
        self, owner_id: UUID, max_jobs: int = MAX_JOBS_AT_ONCE, is_stopping: Callable[[], bool] = lambda: False
    ) -> Advanced:
        """Do what is due for this owner, one withdrawal after the other, at most `max_jobs` calls.

        Nothing new is begun once `is_stopping` says so: a worker told to stop is through within one call.
        Safe to run anywhere and any number of times at once: the row's lock, its lease and the unique index
        on active rows decide who does it.
        """
        for jobs in range(max_jobs):
            job = None if is_stopping() else await self.take(owner_id)
            if job is None:
                return Advanced(jobs, await self._next_due_at(owner_id) if jobs else None)
            await self.record(job, await self.perform(job))
        return Advanced(max_jobs, clock.now())

    async def take(self, owner_id: UUID) -> Job | None:
        """Lease the owner's active withdrawal if it is due, or start the head of the queue. None: nothing to do."""
        try:
            async with self.sessionmaker.begin() as session:
                withdrawal = await rows.lock_active(session, owner_id)
                if withdrawal is not None:
                    return await self._take_active(session, withdrawal)
                withdrawal = await rows.lock_first_queued(session, owner_id)
                return None if withdrawal is None else await self._send(session, withdrawal)
        except IntegrityError as error:
            if _ONE_ACTIVE not in str(error.orig):
                raise
            return None  # another worker started one of the owner's a moment ago

    async def perform(self, job: Job) -> Fact:
        """Make the call, with no transaction open. Never raises what a bank can cause."""
        client = self.clients[job.bank]
        if job.errand == "enquire":
            return await self._enquire(client, job)
        # A worker that was stopped for a while must not send once others may believe it dead.
        latest_start = job.lease_expires_at - timedelta(seconds=self.timings.bank_timeout_seconds)
        if clock.now() >= latest_start:
            return NotDone("our own delay", is_about_bank=False)
        try:
            return _read(await client.pay(job.asked), job)
        except Refused as refused:
            return TurnedDown(refused.reason)
        except NotSent as error:
            return NotDone(error.reason)
        except MayHaveBeenSent as error:
            return MayBeDone(error.reason)

    async def record(self, job: Job, fact: Fact) -> None:
        """Write down what was learnt, if the lease still holds; that the bank paid is written down in any case."""
        async with self.sessionmaker.begin() as session:
            withdrawal = await rows.lock(session, job.withdrawal_id)
            assert withdrawal is not None, "withdrawals are never deleted"
            if withdrawal.lease_id == job.lease_id:
                standing = _standing(withdrawal)
                if isinstance(fact, InProgress | NotKnownThere | NotDone):
                    known = (timeline.PROCESSING, timeline.REFUSAL_HEARD)
                    accepted = await timeline.tells(session, withdrawal.id, *known)
                    standing = replace(standing, was_accepted=accepted)
                await apply_step(session, withdrawal, decide(standing, fact, self._moment()))
            elif isinstance(fact, Paid | SentBack):
                await settle(session, withdrawal, fact)
            else:
                _logger.warning(
                    "withdrawal %s: outcome %s came after the lease", job.withdrawal_id, type(fact).__name__
                )
        _logger.info("withdrawal %s: %s -> %s", job.withdrawal_id, job.errand, type(fact).__name__)
        await self._tell_circuit(job, fact)

    async def _take_active(self, session: AsyncSession, withdrawal: Withdrawal) -> Job | None:
        now = clock.now()
        if withdrawal.lease_expires_at is not None and withdrawal.lease_expires_at > now:
            return None
        if withdrawal.status is WithdrawalStatus.IN_FLIGHT:
            await apply_step(session, withdrawal, decide(_standing(withdrawal), Abandoned(), self._moment()))
        elif withdrawal.next_attempt_at is not None and withdrawal.next_attempt_at > now:
            return None
        if withdrawal.status is WithdrawalStatus.WAITING:
            return await self._send(session, withdrawal)
        permission = await self._ask_circuit(session, withdrawal)
        return None if permission is None else await self._lease(session, withdrawal, "enquire", permission)

    async def _send(self, session: AsyncSession, withdrawal: Withdrawal) -> Job | None:
        """From the queue or from `waiting`: the only two places a payout is ever sent from."""
        assert withdrawal.status.may_be_sent
        withdrawal.active_since = withdrawal.active_since or clock.now()
        permission = await self._ask_circuit(session, withdrawal)
        if permission is None:
            return None
        withdrawal.status = WithdrawalStatus.IN_FLIGHT
        withdrawal.attempts += 1
        withdrawal.first_not_found_at = None
        job = await self._lease(session, withdrawal, "send", permission)
        facts = {"attempt": withdrawal.attempts}
        await timeline.append(session, withdrawal.id, status=withdrawal.status, kind="sending", facts=facts)
        return job

    async def _ask_circuit(self, session: AsyncSession, withdrawal: Withdrawal) -> circuit.Permission | None:
        """Leave to call the bank; without it the withdrawal is put off."""
        permission = await circuit.ask(session, withdrawal.bank, probe_seconds=self.timings.lease_seconds)
        if permission.shut_until is None:
            return permission
        step = decide(_standing(withdrawal), BankShut(permission.shut_until), self._moment())
        await apply_step(session, withdrawal, step)
        return None

    async def _lease(
        self,
        session: AsyncSession,
        withdrawal: Withdrawal,
        errand: Literal["send", "enquire"],
        permission: circuit.Permission,
    ) -> Job:
        lease_id, expires_at = new_id(), clock.now() + timedelta(seconds=self.timings.lease_seconds)
        withdrawal.lease_id, withdrawal.lease_expires_at = lease_id, expires_at
        withdrawal.next_attempt_at = expires_at
        await session.flush()
        return Job(
            errand=errand,
            owner_id=withdrawal.owner_id,
            withdrawal_id=withdrawal.id,
            bank=withdrawal.bank,
            amount=withdrawal.amount,
            lease_id=lease_id,
            lease_expires_at=expires_at,
            is_probe=permission.is_probe,
            asked=_payout_request(withdrawal),
        )

    async def _enquire(self, client: BankClient, job: Job) -> Fact:
        try:
            answer = await client.enquire(job.asked.reference)
        except (BankFailed, Refused) as error:
            return NoAnswer(error.reason)
        return NotKnownThere() if answer is None else _read(answer, job)

    async def _tell_circuit(self, job: Job, fact: Fact) -> None:
        match fact:
            case NotDone(is_about_bank=False):
                return
            case NotDone() | MayBeDone() | NoAnswer():
                async with self.sessionmaker.begin() as session:
                    open_until = await circuit.note_failure(
                        session, job.bank, self.timings, is_probe=job.is_probe, jitter=self.draw()
                    )
                if open_until is not None:
                    _logger.warning("circuit of %s is open until %s", job.bank, open_until.isoformat())
            case _:
                async with self.sessionmaker.begin() as session:
                    if await circuit.note_answer(session, job.bank):
                        _logger.info("circuit of %s is closed: the bank answers again", job.bank)

    async def _next_due_at(self, owner_id: UUID) -> datetime | None:
        async with self.sessionmaker() as session:
            return await rows.next_due_at(session, owner_id)

    def _moment(self) -> Moment:
        return Moment(clock.now(), self.timings, self.draw())


def _read(answer: PayoutAnswer, job: Job) -> Fact:
    reason = answer.code or answer.message or "the bank gave no reason"
    if answer.amount not in (None, job.amount):
        return WrongAmount(answer.amount)
    match answer.status:
        case "SUCCESS":
            return Paid(answer.utr)
        case "FAILED":
            return TurnedDown(reason)
        case "REVERSED":
            return SentBack(answer.utr, reason)
        case "PROCESSING":
            return InProgress()


def _standing(withdrawal: Withdrawal) -> Standing:
    assert withdrawal.active_since is not None
    return Standing(withdrawal.status, withdrawal.active_since, withdrawal.retries, withdrawal.first_not_found_at)


def _payout_request(withdrawal: Withdrawal) -> PayoutRequest:
    return PayoutRequest(
        reference=str(withdrawal.id),
        account_number=withdrawal.account_number,
        ifsc=withdrawal.ifsc,
        account_holder=withdrawal.account_holder,
        amount=withdrawal.amount,
        user_ref=str(withdrawal.owner_id),
    )
