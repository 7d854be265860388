"""Group commit for money: instructions that arrive while a batch is written are posted together in the next batch.

There is no timer: an idle ledger posts at once. A hot account (one shop, many buyers) costs one lock and one commit
per batch instead of per payment. Every instruction carries its idempotency key, so a failed batch can be retried whole.
Owners take turns, so one who sends a thousand instructions holds up only their own.

An account that another transaction has locked for long, such as an operator's, holds up only those who need it: after
LOCK_SECONDS they are set aside and tried in turns, in their order for each account, and all others go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import spans
from shared.callers import WhileWanted
from shared.db.direct import direct_transaction
from shared.db.outages import is_outage
from shared.db.writes import NotAllWritten
from shared.fair_queue import FairQueue
from shared.idempotency.claims import Answer
from shared.ledger.errors import LedgerBusy
from shared.ledger.metrics import count_moved, observe_batch
from shared.ledger.post import (
    Blocked,
    Instruction,
    InstructionOutcome,
    Together,
    accounts_changed,
    post_instructions,
    post_together,
    post_unblocked,
)
from shared.ledger.rules import accounts_touched
from shared.ledger.set_aside import SetAside

LANES = 1
MAX_BATCH = 256
MAX_WAITING = 4096
MAX_WAITING_OF_OWNER = 1024
MAX_SET_ASIDE = 1024
MAX_TOGETHER_WAITING = 32
MAX_TOGETHER_OF_OWNER = 4
MAX_ATTEMPTS = 3
RETRY_PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 20.0
LOCKED_PAUSE_SECONDS = 0.5
MAX_TURN_PAUSE_SECONDS = 2.0

# Another transaction took a key, or a migration changed a prepared statement: the next attempt looks anew.
_OVERTAKEN = (NotAllWritten, asyncpg.InvalidCachedStatementError)

T = TypeVar("T")
_Attempted = InstructionOutcome | Blocked
_Work = Callable[[asyncpg.Connection], Awaitable[tuple[T, Sequence[_Attempted]]]]
"""What one transaction does: its result, and the outcomes that it commits."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    instruction: Instruction
    outcome: asyncio.Future[InstructionOutcome]
    arrived_at: float
    """On the clock of the loop."""
    trace: spans.Context | None
    behind: UUID | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has its outcome, or its caller has left."""
        return self.outcome.done()

    @property
    def accounts(self) -> tuple[UUID, ...]:
        """The accounts that it touches."""
        return accounts_touched(self.instruction.command)


@dataclass(slots=True, eq=False)
class _Lane:
    queue: FairQueue[_Waiting]
    task: asyncio.Task[None] | None = None


class GroupCommit:
    """Posts the keyed instructions of one process in batches, each in its own transaction on the driver's connection.

    `tell` is called after each commit with the accounts that changed. It must not raise and must not block.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        tell: Callable[[Set[UUID]], None] | None = None,
        *,
        lanes: int = LANES,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._engine = engine
        self._tell = tell
        self._lanes = [_Lane(FairQueue(MAX_WAITING, MAX_WAITING_OF_OWNER)) for _ in range(lanes)]
        self._max_batch = max_batch
        self._line = asyncio.Lock()
        """Held by the one bulk request that asks for `_second`: so the others are in line behind it, not there."""
        self._second = asyncio.Lock()
        """Held by who posts beside the lanes: one bulk request, or what is set aside. They take turns."""
        self._together_waiting: Counter[UUID] = Counter()
        self._together_tasks: set[asyncio.Future[None]] = set()
        self._set_aside: SetAside[_Waiting] = SetAside()
        self._aside_task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """How many transfers wait for a batch, or for an account that is locked elsewhere."""
        return sum(len(lane.queue) for lane in self._lanes) + len(self._set_aside)

    async def post(self, instruction: Instruction) -> InstructionOutcome:
        """Answer the outcome after its batch is committed. Raises LedgerBusy when the queue or the owner's share of it
        is full, the database cannot be reached, TIMEOUT_SECONDS pass, or the process is closing.

        While another process works on the same key, the instruction is rejected with RequestInFlight. A caller that is
        cancelled, or leaves (CallerLeft), withdraws an instruction that is still waiting. After LedgerBusy, or when the
        caller went later than that, the transfer may still happen; retry with the same key to find out.
        """
        if instruction.claim is None:
            raise ValueError("an instruction that may be retried needs its idempotency key")
        owner_id = instruction.claim.owner_id
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                with WhileWanted():
                    return await self._post_in_batch(instruction, owner_id)
        except TimeoutError:
            raise LedgerBusy from None

    async def post_together(self, together: Together) -> Answer:
        """Post many commands of one request in a transaction of their own, so that no other transfer waits for them
        unless it touches the same accounts. Requests of many commands are posted one after the other; one owner has at
        most MAX_TOGETHER_OF_OWNER in line, and so leaves room for the others.

        Raises IdempotencyKeyReused, RequestInFlight; CallerLeft while it waits for its turn; LedgerBusy as `post` does.
        """
        waiting, owner_id = self._together_waiting, together.claim.owner_id
        is_full = waiting.total() >= MAX_TOGETHER_WAITING or waiting[owner_id] >= MAX_TOGETHER_OF_OWNER
        if self._is_closed or is_full:
            raise LedgerBusy

        waiting[owner_id] += 1
        done = asyncio.get_running_loop().create_future()
        self._together_tasks.add(done)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._post_together(together)
        except TimeoutError:
            raise LedgerBusy from None
        finally:
            waiting[owner_id] -= 1
            if not waiting[owner_id]:
                del waiting[owner_id]
            self._together_tasks.discard(done)
            done.set_result(None)

    async def close(self) -> None:
        """Accept no more instructions, and wait until the accepted ones are posted."""
        self._is_closed = True
        tasks = [lane.task for lane in self._lanes if lane.task is not None]
        await asyncio.gather(*tasks, *self._together_tasks)
        if self._aside_task is not None:
            await self._aside_task

    async def _post_together(self, together: Together) -> Answer:
        """Post it in its turn. It gives the turn away, and every lock, while an account stays locked elsewhere."""

        async def work(connection: asyncpg.Connection) -> tuple[Answer, Sequence[InstructionOutcome]]:
            return await post_together(connection, together)

        while True:
            async with self._turn():
                try:
                    return await self._commit(work, size=len(together.commands))
                except asyncpg.LockNotAvailableError:
                    _logger.warning("%d transfers wait for an account that is locked elsewhere", len(together.commands))
            with WhileWanted():
                await asyncio.sleep(LOCKED_PAUSE_SECONDS)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The turn of a bulk request. Raises CallerLeft while it waits.

        While single transfers wait, the next turn begins only after as long again: bulk requests take half the time.
        """
        with WhileWanted():
            await self._line.acquire()
        loop, took = asyncio.get_running_loop(), 0.0
        try:
            with WhileWanted():
                await self._second.acquire()
            began = loop.time()
            try:
                yield
            finally:
                self._second.release()
                took = loop.time() - began
        finally:
            is_awaited = any(lane.task is not None for lane in self._lanes) or self._aside_task is not None
            loop.call_later(min(took, MAX_TURN_PAUSE_SECONDS) if is_awaited else 0, self._line.release)

    async def _post_in_batch(self, instruction: Instruction, owner_id: UUID) -> InstructionOutcome:
        lane = self._lane_for(instruction)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(instruction, loop.create_future(), loop.time(), spans.context())
        if self._is_closed or not lane.queue.put(owner_id, waiting):
            raise LedgerBusy
        if lane.task is None:
            # In a context of its own: what it does and logs is not of the request that happens to start it.
            lane.task = asyncio.create_task(self._drain(lane), context=Context())
        return await waiting.outcome

    def _lane_for(self, instruction: Instruction) -> _Lane:
        # All payments to one account use one lane, so that they share batches.
        receiving = accounts_touched(instruction.command)[-1]
        return self._lanes[receiving.int % len(self._lanes)]

    async def _drain(self, lane: _Lane) -> None:
        try:
            while lane.queue:
                batch = [lane.queue.pop() for _ in range(min(len(lane.queue), self._max_batch))]
                await self._post_batch(self._not_behind_others(batch))
        finally:
            lane.task = None

    def _not_behind_others(self, batch: list[_Waiting]) -> list[_Waiting]:
        """What can be tried now. The rest joins those that wait for the same account already."""
        free = []
        for waiting in batch:
            account_id = self._set_aside.account_among(waiting.accounts)
            if account_id is None:
                free.append(waiting)
            else:
                self._put_aside(waiting, account_id)
        return free

    def _put_aside(self, waiting: _Waiting, account_id: UUID) -> None:
        if waiting.behind is None and len(self._set_aside) >= MAX_SET_ASIDE:
            _fail([waiting], LedgerBusy())
            return
        self._set_aside.add(waiting, account_id)
        if self._aside_task is None:
            self._aside_task = asyncio.create_task(self._post_set_aside(), context=Context())

    async def _post_set_aside(self) -> None:
        """Post all that need no longer wait, then wait for one locked account. The accounts take turns."""
        try:
            while batch := self._set_aside.all(self._max_batch):
                async with self._second:
                    await self._post_batch(batch, unblocked=True)
                    await self._post_batch(self._set_aside.next_turn(self._max_batch))
        finally:
            self._aside_task = None

    async def _post_batch(self, batch: list[_Waiting], *, unblocked: bool = False) -> None:
        batch = [waiting for waiting in batch if not waiting.is_over]  # the others' callers have left
        if not batch:
            return
        instructions = [waiting.instruction for waiting in batch]

        async def work(connection: asyncpg.Connection) -> tuple[Sequence[_Attempted], Sequence[_Attempted]]:
            outcomes = await (post_unblocked if unblocked else post_instructions)(connection, instructions)
            return outcomes, outcomes

        try:
            with spans.for_many("ledger batch", (each.trace for each in batch)) as step:
                step.describe({"batua.batch_size": len(batch)})
                outcomes = await self._commit(work, size=len(batch))
        except LedgerBusy as busy:
            _fail(batch, busy)
        except asyncpg.LockNotAvailableError:
            await self._post_around(batch, unblocked)
        except Exception as error:  # any error: report it to the callers, keep the lane running
            await self._post_apart(batch, error)
        else:
            longest = asyncio.get_running_loop().time() - min(waiting.arrived_at for waiting in batch)
            observe_batch(len(batch), longest)
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Blocked):
                    self._put_aside(waiting, outcome.account_id)
                elif not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _post_around(self, batch: list[_Waiting], unblocked: bool) -> None:
        """What the batch needs was locked elsewhere for LOCK_SECONDS: set aside whom that concerns, post the others."""
        if not unblocked:
            await self._post_batch(batch, unblocked=True)
        elif len(batch) > 1:  # no account, but another row that one of them refers to
            for waiting in batch:
                await self._post_batch([waiting], unblocked=True)
        else:
            self._put_aside(batch[0], batch[0].accounts[0])

    async def _post_apart(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch, error)
            return
        for waiting in batch:  # one bad instruction must not fail the others
            await self._post_batch([waiting])

    async def _commit(self, work: _Work[T], *, size: int) -> T:
        """Run `work` in a transaction. Try again, MAX_ATTEMPTS in all, if it was overtaken or the database failed for a
        moment: every command carries its key. Raises LedgerBusy if the database cannot be reached, and at once the
        driver's LockNotAvailableError."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await self._commit_once(work)
            except _OVERTAKEN as error:
                _logger.info("batch of %d overtaken, try %d: %s", size, attempt, error)
                failure: Exception = error
            except Exception as error:
                if not is_outage(error) or isinstance(error, asyncpg.LockNotAvailableError):
                    raise
                _logger.warning("batch of %d failed, try %d: %s", size, attempt, type(error).__name__)
                failure = LedgerBusy()
                await asyncio.sleep(RETRY_PAUSE_SECONDS * attempt)
        raise failure

    async def _commit_once(self, work: _Work[T]) -> T:
        async with direct_transaction(self._engine) as connection:
            result, outcomes = await work(connection)
        if self._tell is not None:
            self._tell(accounts_changed(outcomes))
        count_moved(outcomes)
        return result


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
