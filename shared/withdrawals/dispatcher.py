"""Keep a worker's slots busy: one loop claims withdrawals for the free slots, another records what has ended.

A slot is free again as soon as its call has ended, so that no call waits for the recording of another. Each bank has
slots of its own, so a bank that is slow or hangs takes none from the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from shared import clock, spans
from shared.db.outages import is_outage
from shared.withdrawals.bank_calls import BankCall, Outcome
from shared.withdrawals.engine import Engine

_logger = logging.getLogger(__name__)

CLAIM_STEP_SECONDS = 0.025
"""Between the beginnings of two claims, at least. Slots that become free within it are filled together."""
RECORD_STEP_SECONDS = 0.05
"""Between the beginnings of two recordings, at least. Calls that end within it are recorded together."""
PAUSE_SECONDS = 1.0
"""After a step that failed."""
LEASES_PER_SLOT = 2
"""Withdrawals that are claimed and not yet recorded, for each slot: when recording is slow, claiming waits for it."""


class Dispatcher:
    """Makes the calls that are due on one event loop. Postgres holds the queue; this knows only what is under way."""

    def __init__(self, engine: Engine) -> None:
        slots = engine.timings.slots_per_bank
        self._engine = engine
        self._free = dict.fromkeys(engine.clients, slots)
        self._leases_left = dict.fromkeys(engine.clients, slots * LEASES_PER_SLOT)
        self._filled: set[str] = set()
        """Banks at which the last claim found work for every slot: there may be more."""
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended: list[Outcome] = []
        self._is_recording_late = False
        self._claims_are_over = False
        self._may_be_due = asyncio.Event()
        self._has_ended = asyncio.Event()
        self._looked_at = time.monotonic()

    @property
    def seconds_since_look(self) -> float:
        """Since it last began to look for withdrawals that are due."""
        return time.monotonic() - self._looked_at

    def wake(self) -> None:
        """Something may be due: look at once. Call it on the loop."""
        self._may_be_due.set()

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Carry out what is due, until `is_stopping` says so and the calls under way are recorded.

        Nothing is claimed once it says so: a worker that is told to stop, and wakes this, ends within one call. Without
        a wake-up it looks when the next withdrawal is due, and every `sweep_seconds`.
        """
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._keep_recording())
            while not is_stopping():
                self._may_be_due.clear()
                self._looked_at = time.monotonic()
                pause_seconds = await self._step(self._claim, CLAIM_STEP_SECONDS)
                await _wait(self._may_be_due, pause_seconds)
            self._claims_are_over = True
            self._has_ended.set()

    async def _keep_recording(self) -> None:
        pause_seconds = self._engine.timings.sweep_seconds
        while self._under_way or self._ended or not self._claims_are_over:
            await _wait(self._has_ended, pause_seconds)
            self._has_ended.clear()
            pause_seconds = await self._step(self._record, RECORD_STEP_SECONDS)

    async def _step(self, work: Callable[[], Awaitable[float]], least_seconds: float) -> float:
        """Returns after how many seconds to look again, if nothing wakes us before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            pause_seconds = await work()
        except Exception as error:  # whatever it is, the leases hold: others go on, and this tries again
            if is_outage(error):
                _logger.warning("payouts wait: the database is away (%s)", type(error).__name__)
            else:
                _logger.exception("payouts wait: a step failed")
            pause_seconds = PAUSE_SECONDS
        await asyncio.sleep(began + least_seconds - loop.time())
        return pause_seconds

    async def _claim(self) -> float:
        sweep_seconds = self._engine.timings.sweep_seconds
        room = {bank: min(free, self._leases_left[bank]) for bank, free in self._free.items()}
        room = {bank: slots for bank, slots in room.items() if slots > 0}
        # A lease may have ended while the database was away. What we know of its call is recorded before it is claimed.
        if not room or self._is_recording_late:
            return sweep_seconds
        claimed = await self._engine.claim(room)
        for call in claimed.calls:
            self._begin(call)
        found = Counter(call.bank for call in claimed.calls)
        self._filled -= room.keys()
        self._filled |= {bank for bank in room if found[bank] >= room[bank]}
        if claimed.more_is_due:
            return 0.0
        if claimed.next_due_at is None:
            return sweep_seconds
        return min(sweep_seconds, (claimed.next_due_at - clock.now()).total_seconds())

    def _begin(self, call: BankCall) -> None:
        self._free[call.bank] -= 1
        self._leases_left[call.bank] -= 1
        task = asyncio.create_task(self._make(call))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _make(self, call: BankCall) -> None:
        about: spans.Attributes = {"batua.withdrawal_id": str(call.withdrawal_id), "batua.attempt": call.attempt}
        try:
            with spans.go_on(call.traceparent, f"payout {call.kind}", attributes=about):
                self._ended.append((call, await self._engine.make(call)))
        except Exception:
            self._forget(call)  # its lease ends, and the bank is asked
            _logger.exception("withdrawal %s: the call failed", call.withdrawal_id)
        finally:
            self._free[call.bank] += 1
            self._has_ended.set()
            if call.bank in self._filled:  # else, only what is recorded can make more due
                self._may_be_due.set()

    async def _record(self) -> float:
        outcomes = list(self._ended)
        try:
            if outcomes:
                await self._record_all(outcomes)
            self._is_recording_late = False
        except Exception:
            self._is_recording_late = True
            if self._claims_are_over:
                self._remove([one for one in outcomes if one in self._ended])  # their leases end, and the bank is asked
            raise
        return self._engine.timings.sweep_seconds

    async def _record_all(self, outcomes: list[Outcome]) -> None:
        try:
            await self._engine.record_all(outcomes)
        except Exception as error:
            if is_outage(error):
                raise
            await self._record_apart(outcomes)
        else:
            self._remove(outcomes)

    async def _record_apart(self, outcomes: list[Outcome]) -> None:
        """One that cannot be recorded must not hold up the others. Its lease ends, and the bank is asked."""
        for outcome in outcomes:
            try:
                await self._engine.record_all([outcome])
            except Exception as error:
                if is_outage(error):
                    raise
                _logger.exception("withdrawal %s: its outcome is not recorded", outcome[0].withdrawal_id)
            self._remove([outcome])

    def _remove(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in list(outcomes):
            self._ended.remove(outcome)
            self._forget(outcome[0])

    def _forget(self, call: BankCall) -> None:
        """Its lease is no longer ours to use. The next withdrawal of its owner may be due."""
        self._leases_left[call.bank] += 1
        self._may_be_due.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
