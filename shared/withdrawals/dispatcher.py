"""Keep a worker's slots busy: one step records the calls that have ended and claims the next ones for the free slots.

Each bank has slots of its own, so a bank that is slow or hangs takes none from the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shared import clock
from shared.db.outages import is_outage
from shared.withdrawals.engine import BankCall, Engine, Outcome

_logger = logging.getLogger(__name__)

STEP_SECONDS = 0.05
"""Between the beginnings of two steps, at least. Calls that end within it are recorded and followed up together."""
PAUSE_SECONDS = 1.0
"""After a step that failed."""


class Dispatcher:
    """Makes the calls that are due on one event loop. Postgres holds the queue; this knows only what is under way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._free = dict.fromkeys(engine.clients, engine.timings.slots_per_bank)
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended: list[Outcome] = []
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something may be due: look at once. Call it on the loop."""
        self._woken.set()

    async def run(self, is_stopping: Callable[[], bool]) -> None:
        """Carry out what is due, until `is_stopping` says so and the calls under way are recorded.

        No call begins once it says so: a worker that is told to stop, and wakes this, ends within one call. Without a
        wake-up it looks when the next withdrawal is due, and every `sweep_seconds`.
        """
        loop = asyncio.get_running_loop()
        while not (is_stopping() and not self._under_way and not self._ended):
            self._woken.clear()
            began = loop.time()
            pause_seconds = await self._step(is_stopping())
            await asyncio.sleep(began + STEP_SECONDS - loop.time())
            await self._wait(pause_seconds)

    async def _step(self, is_stopping: bool) -> float:
        """Returns after how many seconds to look again, if nothing wakes us before."""
        try:
            await self._record()
            return self._engine.timings.sweep_seconds if is_stopping else await self._claim()
        except Exception as error:  # whatever it is, the leases hold: others go on, and this tries again
            if is_outage(error):
                _logger.warning("payouts wait: the database is away (%s)", type(error).__name__)
            else:
                _logger.exception("payouts wait: a step failed")
            if is_stopping:
                self._free_slots(self._ended)  # their leases end, and the bank is asked
            return PAUSE_SECONDS

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _record(self) -> None:
        outcomes = list(self._ended)
        if not outcomes:
            return
        try:
            await self._engine.record_all(outcomes)
        except Exception as error:
            if is_outage(error):
                raise
            await self._record_apart(outcomes)
        else:
            self._free_slots(outcomes)

    async def _record_apart(self, outcomes: list[Outcome]) -> None:
        """One that cannot be recorded must not hold up the others. Its lease ends, and the bank is asked."""
        for outcome in outcomes:
            try:
                await self._engine.record_all([outcome])
            except Exception as error:
                if is_outage(error):
                    raise
                _logger.exception("withdrawal %s: its outcome is not recorded", outcome[0].withdrawal_id)
            self._free_slots([outcome])

    async def _claim(self) -> float:
        free = {bank: slots for bank, slots in self._free.items() if slots > 0}
        sweep_seconds = self._engine.timings.sweep_seconds
        if not free:
            return sweep_seconds
        claimed = await self._engine.claim(free)
        for call in claimed.calls:
            self._free[call.bank] -= 1
            task = asyncio.create_task(self._make(call))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if claimed.more_is_due:
            return 0.0
        if claimed.next_due_at is None:
            return sweep_seconds
        return min(sweep_seconds, (claimed.next_due_at - clock.now()).total_seconds())

    async def _make(self, call: BankCall) -> None:
        try:
            self._ended.append((call, await self._engine.make(call)))
        except Exception:
            self._free[call.bank] += 1  # its lease ends, and the bank is asked
            _logger.exception("withdrawal %s: the call failed", call.withdrawal_id)
        finally:
            self._woken.set()

    def _free_slots(self, outcomes: list[Outcome]) -> None:
        for outcome in list(outcomes):
            self._ended.remove(outcome)
            self._free[outcome[0].bank] += 1
