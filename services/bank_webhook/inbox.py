"""Keep authentic deliveries and settle what they are about, in one database transaction: all of it, or nothing.

Deliveries about payments that arrive while a batch is being committed are taken in together by the next. There is no
timer: an idle webhook takes in a delivery at once. A bank is answered only after the commit of its delivery's batch.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from services.bank_webhook.deliveries import Row, judged, lock_rows
from services.bank_webhook.errors import NotCommitted
from services.bank_webhook.gate import Delivery
from shared import spans
from shared.banks.notices import PaymentNotice, PayoutNotice
from shared.callers import WhileWanted
from shared.db.direct import direct_transaction
from shared.db.outages import DATABASE_ERRORS, may_pass_at_once
from shared.db.transaction import SessionTransaction, Transaction
from shared.db.writes import write_all
from shared.errors import BatuaError
from shared.ledger.metrics import count_moved
from shared.ledger.rules import Outcome
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.settlement import settle_all
from shared.runtime.database import Database
from shared.withdrawals.notices import apply_payout_notice

MAX_BATCH = 256
MAX_WAITING = 4096
BATCH_SECONDS = 5.0
MAX_APART_AT_ONCE = 8
MAX_ATTEMPTS = 3
RETRY_PAUSE_SECONDS = 0.05
ROLLBACK_SECONDS = 2.0

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A delivery about a payment, until its verdict is committed. `ends_at` is a time of the event loop."""

    delivery: Delivery
    ends_at: float
    verdict: asyncio.Future[Verdict]


class Inbox:
    """Takes in the deliveries of one process."""

    def __init__(self, database: Database, *, within_seconds: float) -> None:
        self._database = database
        self._within_seconds = within_seconds
        self._queue: deque[_Waiting] = deque()
        self._batches: asyncio.Task[None] | None = None
        self._apart: set[asyncio.Task[None]] = set()
        self._apart_at_once = asyncio.Semaphore(MAX_APART_AT_ONCE)
        self._under_way = 0
        self._is_closed = False

    async def take_in(self, delivery: Delivery) -> Verdict:
        """Commit the delivery and return its verdict; a copy of one that is finished is `duplicate`.

        A repeat is safe even when an attempt before it was committed. A caller that is cancelled, or leaves
        (CallerLeft), withdraws a delivery that still waits for its batch. Raises NotCommitted when the database cannot
        do it in time, as many as MAX_WAITING wait, or the process is closing.
        """
        if self._is_closed or self._under_way >= MAX_WAITING:
            raise NotCommitted
        self._under_way += 1
        try:
            ends_at = asyncio.get_running_loop().time() + self._within_seconds
            if isinstance(delivery.notice, PaymentNotice):
                return await self._in_a_batch(delivery, ends_at)
            return await self._alone(lambda: self._commit_payout(delivery), ends_at)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Take in no more, and wait until what was accepted is committed or has failed: at most its time."""
        self._is_closed = True
        if self._batches is not None:
            await self._batches
        await asyncio.gather(*self._apart)

    async def _in_a_batch(self, delivery: Delivery, ends_at: float) -> Verdict:
        waiting = _Waiting(delivery, ends_at, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._batches is None:
            self._batches = asyncio.create_task(self._commit_batches())
        try:
            # Its batch ends in time by itself. The bank is told that nothing was committed once that is undone.
            async with asyncio.timeout_at(ends_at + ROLLBACK_SECONDS):
                with WhileWanted():
                    return await waiting.verdict
        except TimeoutError:
            _logger.warning("delivery not committed within %s seconds", self._within_seconds)
            raise NotCommitted from None

    async def _commit_batches(self) -> None:
        try:
            while self._queue:
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
                batch = [waiting for waiting in taken if not waiting.verdict.done()]  # the others' callers have left
                if batch:
                    await self._answer_together(batch)
        finally:
            self._batches = None

    async def _answer_together(self, batch: list[_Waiting]) -> None:
        deliveries = [waiting.delivery for waiting in batch]
        ends_at = min(batch[0].ends_at, asyncio.get_running_loop().time() + BATCH_SECONDS)
        try:
            async with asyncio.timeout_at(ends_at):
                # A row that stays locked must not hold up the others again.
                verdicts = await _attempt(
                    lambda: _commit(self._database.direct_engine, deliveries), unless=asyncpg.LockNotAvailableError
                )
        except NotCommitted as error:
            _fail(batch, error)
        except Exception as error:  # any error: one bad delivery must not fail or hold up the others
            _logger.warning("batch of %d is taken in apart: %s", len(batch), _cause(error))
            task = asyncio.create_task(self._answer_apart(batch))
            self._apart.add(task)
            task.add_done_callback(self._apart.discard)
        else:
            for waiting, verdict in zip(batch, verdicts, strict=True):
                if not waiting.verdict.done():
                    waiting.verdict.set_result(verdict)

    async def _answer_apart(self, batch: Sequence[_Waiting]) -> None:
        """Each in a transaction of its own, those about one on-ramp one after the other. Batches go on meanwhile."""
        of_one_on_ramp: dict[tuple[str, str], list[_Waiting]] = {}
        for waiting in batch:
            notice = cast(PaymentNotice, waiting.delivery.notice)
            of_one_on_ramp.setdefault((notice.bank, notice.token), []).append(waiting)

        async def in_order(several: Sequence[_Waiting]) -> None:
            async with self._apart_at_once:
                for waiting in several:
                    await self._answer_alone(waiting)

        await asyncio.gather(*map(in_order, of_one_on_ramp.values()))

    async def _answer_alone(self, waiting: _Waiting) -> None:
        if waiting.verdict.done():
            return

        async def commit() -> Verdict:
            (verdict,) = await _commit(self._database.engine, [waiting.delivery])
            return verdict

        try:
            verdict = await self._alone(commit, waiting.ends_at)
        except Exception as error:  # any error belongs to its caller; the others go on
            _fail([waiting], error)
        else:
            if not waiting.verdict.done():
                waiting.verdict.set_result(verdict)

    async def _alone(self, commit: Callable[[], Awaitable[Verdict]], ends_at: float) -> Verdict:
        """Commit one delivery. Raises NotCommitted when the ledger or the database does not take it in time."""
        try:
            async with asyncio.timeout_at(ends_at):
                return await _attempt(commit)
        except NotCommitted:
            raise
        except TimeoutError:
            _logger.warning("delivery not committed within %s seconds", self._within_seconds)
        except BatuaError as error:
            # The ledger rejects the bank's money. An operator has to look; the bank delivers the notice again.
            _logger.error("delivery cannot be settled: %s", error)
        except DATABASE_ERRORS as error:
            _logger.error("delivery cannot be committed: %s", _cause(error))
        raise NotCommitted

    async def _commit_payout(self, delivery: Delivery) -> Verdict:
        """Lock order: the inbox row, then the withdrawal's row, then accounts."""
        notice = cast(PayoutNotice, delivery.notice)
        async with self._database.sessionmaker.begin() as session:
            transaction = SessionTransaction(session)
            (row,) = await lock_rows(transaction, [delivery])
            if row.is_finished:
                return Verdict.DUPLICATE
            outcome = await apply_payout_notice(session, notice)
            row.verdict, row.withdrawal_id = outcome.verdict, outcome.withdrawal_id
            await write_all(transaction, [judged([row])])
            return outcome.verdict


async def _commit(engine: AsyncEngine, deliveries: Sequence[Delivery]) -> list[Verdict]:
    async with direct_transaction(engine) as connection:
        verdicts, posted = await record_payments(connection, deliveries)
    count_moved(posted)
    return verdicts


async def record_payments(
    transaction: Transaction, deliveries: Sequence[Delivery]
) -> tuple[list[Verdict], Sequence[Outcome]]:
    """Record deliveries about payments and settle them, as if they came one by one. Answers what the ledger posts, too.

    Lock order: inbox rows, then on-ramps, then accounts. Copies of one delivery wait for each other at the inbox row.
    Raises the ledger's error when it rejects a credit: roll back, and record the deliveries apart.
    """
    rows = await lock_rows(transaction, deliveries)
    notices: dict[Row, PaymentNotice] = {}
    traces: list[spans.Context | None] = []
    is_copy: list[bool] = []
    for row, delivery in zip(rows, deliveries, strict=True):
        is_copy.append(row.is_finished or row in notices)
        if not is_copy[-1]:
            notices[row] = cast(PaymentNotice, delivery.notice)
            traces.append(delivery.trace)
    settled = await settle_all(transaction, list(notices.values()), brought_by=traces)
    for row, outcome in zip(notices, settled.outcomes, strict=True):
        row.verdict, row.on_ramp_id = outcome.verdict, outcome.on_ramp_id
    await write_all(transaction, [*settled.writes, judged(list(notices))])
    verdicts = [_answer(row, is_copy=copied) for row, copied in zip(rows, is_copy, strict=True)]
    return verdicts, settled.posted


def _answer(row: Row, *, is_copy: bool) -> Verdict:
    # A copy of a delivery that is not finished is judged as that was: what its verdict depends on is locked.
    assert row.verdict is not None
    return Verdict.DUPLICATE if is_copy and row.is_finished else row.verdict


async def _attempt(commit: Callable[[], Awaitable[T]], *, unless: type[Exception] | tuple[()] = ()) -> T:
    """Make at most MAX_ATTEMPTS attempts: a deadlock or a lost connection is usually gone at the next one.

    Raises NotCommitted after the last; at once what is no outage, and `unless`.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return await commit()
        except DATABASE_ERRORS as error:
            _logger.warning("delivery not committed, attempt %d: %s", attempt, _cause(error))
            if not may_pass_at_once(error) or isinstance(error, unless):
                raise
        # Random pauses, so that two copies that blocked each other do not do so again.
        await asyncio.sleep(RETRY_PAUSE_SECONDS * attempt * (1 + secrets.randbelow(100) / 100))
    raise NotCommitted


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.verdict.done():
            waiting.verdict.set_exception(error)


def _cause(error: BaseException) -> str:
    """The names of the error and of the driver's error; never the SQL statement, which holds the notice."""
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"
