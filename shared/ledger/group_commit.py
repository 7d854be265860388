"""Group commit for money: instructions that arrive while a batch is written are posted together in the next batch.

There is no timer: an idle ledger posts at once. A hot account (one shop, many buyers) costs one lock and one commit
per batch instead of per payment. Every instruction carries its idempotency key, so a failed batch can be retried whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.callers import WhileWanted
from shared.db.direct import direct_transaction
from shared.db.outages import is_outage
from shared.db.writes import NotAllWritten
from shared.idempotency.claims import Answer
from shared.idempotency.errors import RequestInFlight
from shared.ledger.errors import LedgerBusy
from shared.ledger.post import (
    Instruction,
    InstructionOutcome,
    Together,
    accounts_changed,
    post_instructions,
    post_together,
)
from shared.ledger.rules import Rejected, accounts_touched

LANES = 1
MAX_BATCH = 256
MAX_WAITING = 4096
MAX_TOGETHER_WAITING = 32
MAX_TOGETHER_OF_OWNER = 4
MAX_ATTEMPTS = 3
RETRY_PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 20.0
IN_FLIGHT_SECONDS = 5.0
IN_FLIGHT_PAUSE_SECONDS = 0.05

# Another transaction took a key, or a migration changed a prepared statement: the next attempt looks anew.
_OVERTAKEN = (NotAllWritten, asyncpg.InvalidCachedStatementError)

T = TypeVar("T")
_Work = Callable[[asyncpg.Connection], Awaitable[tuple[T, Sequence[InstructionOutcome]]]]
"""What one transaction does: its result, and the outcomes that it commits."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    instruction: Instruction
    outcome: asyncio.Future[InstructionOutcome]


@dataclass(slots=True, eq=False)
class _Lane:
    queue: deque[_Waiting] = field(default_factory=deque)
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
        self._lanes = [_Lane() for _ in range(lanes)]
        self._max_batch = max_batch
        self._together = asyncio.Lock()
        self._together_waiting: Counter[UUID] = Counter()
        self._is_closed = False

    async def post(self, instruction: Instruction) -> InstructionOutcome:
        """Answer the outcome after its batch is committed. Raises LedgerBusy when the queue is full, the database
        cannot be reached, TIMEOUT_SECONDS pass, or the process is closing.

        While another process works on the same key, its answer is awaited for IN_FLIGHT_SECONDS; then the instruction
        is rejected with RequestInFlight. A caller that is cancelled, or leaves (CallerLeft), withdraws an instruction
        that is still waiting. After LedgerBusy, or when the caller went later than that, the transfer may still
        happen; retry with the same key to find out.
        """
        if instruction.claim is None:
            raise ValueError("an instruction that may be retried needs its idempotency key")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                with WhileWanted():
                    return await self._post_when_free(instruction)
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

        async def work(connection: asyncpg.Connection) -> tuple[Answer, Sequence[InstructionOutcome]]:
            return await post_together(connection, together)

        waiting[owner_id] += 1
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                with WhileWanted():
                    await self._together.acquire()
                try:
                    return await self._commit(work, size=len(together.commands))
                finally:
                    self._together.release()
        except TimeoutError:
            raise LedgerBusy from None
        finally:
            waiting[owner_id] -= 1
            if not waiting[owner_id]:
                del waiting[owner_id]

    async def close(self) -> None:
        """Accept no more instructions, and wait until the accepted ones are posted."""
        self._is_closed = True
        tasks = [lane.task for lane in self._lanes if lane.task is not None]
        await asyncio.gather(*tasks)
        async with self._together:  # in line behind the accepted ones
            pass

    async def _post_when_free(self, instruction: Instruction) -> InstructionOutcome:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + IN_FLIGHT_SECONDS
        while True:
            outcome = await self._post_in_batch(instruction)
            if not _is_in_flight(outcome) or loop.time() >= give_up_at:
                return outcome
            await asyncio.sleep(IN_FLIGHT_PAUSE_SECONDS)

    async def _post_in_batch(self, instruction: Instruction) -> InstructionOutcome:
        lane = self._lane_for(instruction)
        if self._is_closed or len(lane.queue) >= MAX_WAITING:
            raise LedgerBusy
        waiting = _Waiting(instruction, asyncio.get_running_loop().create_future())
        lane.queue.append(waiting)
        if lane.task is None:
            lane.task = asyncio.create_task(self._drain(lane))
        return await waiting.outcome

    def _lane_for(self, instruction: Instruction) -> _Lane:
        # All payments to one account use one lane, so that they share batches.
        receiving = accounts_touched(instruction.command)[-1]
        return self._lanes[receiving.int % len(self._lanes)]

    async def _drain(self, lane: _Lane) -> None:
        try:
            while lane.queue:
                batch = [lane.queue.popleft() for _ in range(min(len(lane.queue), self._max_batch))]
                await self._post_batch(batch)
        finally:
            lane.task = None

    async def _post_batch(self, batch: list[_Waiting]) -> None:
        batch = [waiting for waiting in batch if not waiting.outcome.done()]  # the others' callers have left
        if not batch:
            return
        instructions = [waiting.instruction for waiting in batch]

        async def work(connection: asyncpg.Connection) -> tuple[list[InstructionOutcome], Sequence[InstructionOutcome]]:
            outcomes = await post_instructions(connection, instructions)
            return outcomes, outcomes

        try:
            outcomes = await self._commit(work, size=len(batch))
        except LedgerBusy as busy:
            _fail(batch, busy)
        except Exception as error:  # any error: report it to the callers, keep the lane running
            await self._post_apart(batch, error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)

    async def _post_apart(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch, error)
            return
        for waiting in batch:  # one bad instruction must not fail the others
            await self._post_batch([waiting])

    async def _commit(self, work: _Work[T], *, size: int) -> T:
        """Run `work` in a transaction. Try again, MAX_ATTEMPTS in all, if it was overtaken or the database failed for a
        moment: every command carries its key. Raises LedgerBusy if the database cannot be reached."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return await self._commit_once(work)
            except _OVERTAKEN as error:
                _logger.info("batch of %d overtaken, try %d: %s", size, attempt, error)
                failure: Exception = error
            except Exception as error:
                if not is_outage(error):
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
        return result


def _is_in_flight(outcome: InstructionOutcome) -> bool:
    return isinstance(outcome, Rejected) and isinstance(outcome.error, RequestInFlight)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
