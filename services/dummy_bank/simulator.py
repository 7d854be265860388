"""Everything the simulated banks share while the process runs: the file, the faults, the background work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from services.dummy_bank import book, call_log, netbanking, notice_queue, payouts
from services.dummy_bank.database import Database, Row
from services.dummy_bank.errors import bank_is_down, internal_error
from services.dummy_bank.fault_board import Dice, FaultBoard, Faults
from services.dummy_bank.metrics import Metrics
from services.dummy_bank.notice_sender import Courier
from services.dummy_bank.settings import BankProfile, BankSimulatorSettings

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.2
MAX_IN_FLIGHT_PER_BANK = 16


class Simulator:
    """Built when the app starts, on its event loop."""

    def __init__(self, settings: BankSimulatorSettings) -> None:
        self.settings = settings
        self.banks = settings.banks
        self.database = Database(settings.database)
        self.faults = FaultBoard(self.database, self.banks)
        self.metrics = Metrics()
        self.draining = asyncio.Event()
        self.courier = Courier(self.database, settings, self.metrics)
        self._wake = asyncio.Event()
        self._faults_changed = {bank: asyncio.Event() for bank in self.banks}
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        with self.database.transaction() as connection:
            call_log.close_interrupted(connection)
            for profile in self.banks.values():
                book.open_accounts(connection, profile.code, profile.utr_prefix)

    def wake(self) -> None:
        """There may be something to do now; no need to wait for the next turn."""
        self._wake.set()

    def choose_faults(self, bank: str, faults: Faults) -> None:
        """Replace the bank's faults, and let go of every call held at the old ones."""
        self.faults.choose(bank, faults)
        self._faults_changed[bank].set()
        self._faults_changed[bank] = asyncio.Event()
        self.wake()

    async def resend(self, profile: BankProfile, message_id: str) -> None:
        """Send a notice again: at once when it was delivered before, else as the next in the queue."""
        with self.database.transaction() as connection:
            row = notice_queue.find(connection, profile.code, message_id)
            if row["status"] != "delivered":
                notice_queue.queue_again(connection, row)
        if row["status"] == "delivered":
            await self.courier.resend(profile, row)
        self.wake()

    async def stand_in_line(self, bank: str, stream: str) -> None:
        """What any call but a payout goes through first: down, latency, an error now and then."""
        faults = self.faults.of(bank)
        if faults.down:
            raise bank_is_down()
        with self.database.transaction() as connection:
            dice = Dice(connection, bank, stream, faults)
        latency_seconds, stumbles = dice.latency_seconds(faults), dice.falls(faults.error_rate)
        await asyncio.sleep(latency_seconds)
        if stumbles:
            raise internal_error()

    async def hold(self, bank: str, caller_gone: Coroutine[Any, Any, None]) -> bool:
        """Wait until the bank's faults change; False when the caller left or the process ends first."""
        changed = self._faults_changed[bank]
        await self.wait_for_any(changed.wait(), caller_gone, timeout_seconds=self.settings.hold_seconds)
        return changed.is_set()

    async def wait_for_any(self, *events: Coroutine[Any, Any, Any], timeout_seconds: float) -> None:
        """Wait until one of `events`, the time limit, or the process is asked to stop."""
        tasks = [asyncio.ensure_future(event) for event in (*events, self.draining.wait())]
        try:
            await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self) -> None:
        """Do what falls due, turn by turn, until cancelled. One bad turn does not end it."""
        while True:
            try:
                self._take_turn()
            except Exception:
                logger.exception("a turn of the background work failed; trying again")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TURN_SECONDS)
            self._wake.clear()

    async def close(self) -> None:
        """Let deliveries under way finish or give up, then let go of the file."""
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        await self.courier.close()
        self.database.close()

    def _take_turn(self) -> None:
        for profile in self.banks.values():
            faults = self.faults.of(profile.code)
            if faults.down:  # a bank that is down does nothing at all, neither work nor notices
                continue
            with self.database.transaction() as connection:
                netbanking.expire(connection, profile, faults)
                payouts.take_up_due(connection, profile, faults)
                # Those in flight are still due, so ask for enough to see past them.
                due = notice_queue.due(connection, profile.code, 2 * MAX_IN_FLIGHT_PER_BANK)
            self._send(profile, due)

    def _send(self, profile: BankProfile, due: list[Row]) -> None:
        waiting = [row for row in due if row["id"] not in self._in_flight]
        room = MAX_IN_FLIGHT_PER_BANK - (len(due) - len(waiting))
        for row in waiting[: max(0, room)]:
            task = asyncio.create_task(self._deliver(profile, row))
            self._in_flight[row["id"]] = task

    async def _deliver(self, profile: BankProfile, row: Row) -> None:
        try:
            await self.courier.deliver(profile, row)
        except Exception:
            logger.exception("delivering notice %s failed", row["message_id"])
        finally:
            del self._in_flight[row["id"]]
            self.wake()
