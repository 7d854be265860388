"""Group commit for money: instructions that arrive while a batch is written are posted together in the next batch.

There is no timer: an idle ledger posts at once. A hot account (one shop, many buyers) costs one lock and one commit
per batch instead of per payment. Every instruction carries its idempotency key, so a failed batch can be retried whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.ledger.errors import LedgerBusy
from shared.ledger.post import Instruction, InstructionOutcome, post_instructions
from shared.ledger.rules import accounts_touched

LANES = 2
MAX_BATCH = 256
MAX_WAITING = 4096
MAX_ATTEMPTS = 3
RETRY_PAUSE_SECONDS = 0.05
TIMEOUT_SECONDS = 20.0

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
    """Posts the keyed instructions of one process in batches, each batch in its own transaction."""

    def __init__(self, sessionmaker: SessionMaker, *, lanes: int = LANES, max_batch: int = MAX_BATCH) -> None:
        self._sessionmaker = sessionmaker
        self._lanes = [_Lane() for _ in range(lanes)]
        self._max_batch = max_batch
        self._is_closed = False

    async def post(self, instruction: Instruction) -> InstructionOutcome:
        """Answer the outcome after its batch is committed. Raises LedgerBusy when the queue is full, the database
        cannot be reached, TIMEOUT_SECONDS pass, or the process is closing.

        After LedgerBusy or a cancellation the transfer may still happen; retry with the same key to find out.
        """
        if instruction.claim is None:
            raise ValueError("an instruction that may be retried needs its idempotency key")
        lane = self._lane_for(instruction)
        if self._is_closed or len(lane.queue) >= MAX_WAITING:
            raise LedgerBusy
        waiting = _Waiting(instruction, asyncio.get_running_loop().create_future())
        lane.queue.append(waiting)
        if lane.task is None:
            lane.task = asyncio.create_task(self._drain(lane))
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await waiting.outcome
        except TimeoutError:
            raise LedgerBusy from None

    async def close(self) -> None:
        """Accept no more instructions, and wait until the accepted ones are posted."""
        self._is_closed = True
        tasks = [lane.task for lane in self._lanes if lane.task is not None]
        await asyncio.gather(*tasks)

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
        batch = [waiting for waiting in batch if not waiting.outcome.done()]
        if not batch:
            return
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                outcomes = await self._commit([waiting.instruction for waiting in batch])
            except Exception as error:  # any error: report it to the callers, keep the lane running
                _logger.warning("batch of %d failed, try %d: %s", len(batch), attempt, type(error).__name__)
                if not is_outage(error):
                    await self._post_apart(batch, error)
                    return
                await asyncio.sleep(RETRY_PAUSE_SECONDS * attempt)
            else:
                for waiting, outcome in zip(batch, outcomes, strict=True):
                    if not waiting.outcome.done():
                        waiting.outcome.set_result(outcome)
                return
        _fail(batch, LedgerBusy())

    async def _post_apart(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch, error)
            return
        for waiting in batch:  # one bad instruction must not fail the others
            await self._post_batch([waiting])

    async def _commit(self, instructions: list[Instruction]) -> list[InstructionOutcome]:
        async with self._sessionmaker.begin() as session:
            return await post_instructions(session, instructions)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(error)
