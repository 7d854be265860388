"""What the simulated banks share while the process runs: the file, the faults, the background work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from services.dummy_bank import book, call_log, netbanking, notice_queue, payouts
from services.dummy_bank.database import Database, Row
from services.dummy_bank.draws import Draws, Stream
from services.dummy_bank.errors import bank_is_down, internal_error
from services.dummy_bank.fault_board import FaultBoard
from services.dummy_bank.faults import Faults
from services.dummy_bank.metrics import Metrics
from services.dummy_bank.notice_sender import NoticeSender
from services.dummy_bank.settings import BankProfile, BankSimulatorSettings

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
MAX_IN_FLIGHT_PER_BANK = 16


class Simulator:
    """Built when the app starts, in its event loop."""

    def __init__(self, settings: BankSimulatorSettings) -> None:
        self.settings = settings
        self.banks = settings.banks
        self.database = Database(settings.database)
        self.faults = FaultBoard(self.database, self.banks)
        self.metrics = Metrics()
        self.draining = asyncio.Event()
        self.notice_sender = NoticeSender(self.database, settings, self.metrics)
        self._wake = asyncio.Event()
        self._faults_changed = {bank: asyncio.Event() for bank in self.banks}
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        with self.database.transaction() as connection:
            call_log.close_interrupted(connection)
            for profile in self.banks.values():
                book.open_accounts(connection, profile.code, profile.utr_prefix)

    def wake(self) -> None:
        """Look for due work now, without waiting for the next poll."""
        self._wake.set()

    def choose_faults(self, bank: str, faults: Faults) -> None:
        """Replace the bank's faults, and let every call that a fault holds go on."""
        self.faults.choose(bank, faults)
        self._faults_changed[bank].set()
        self._faults_changed[bank] = asyncio.Event()
        self.wake()

    async def resend(self, profile: BankProfile, message_id: str) -> None:
        """Send a notice again: at once when it was delivered before, else as the next in the queue.

        Raises BankError: 404 when there is none, 409 when the platform rejected it.
        """
        with self.database.transaction() as connection:
            row = notice_queue.find(connection, profile.code, message_id)
            if row["status"] != "delivered":
                notice_queue.queue_again(connection, row)
        if row["status"] == "delivered":
            await self.notice_sender.resend(profile, row)
        self.wake()

    async def delay_or_fail(self, bank: str, stream: Stream) -> None:
        """The faults of every call but a payout: down, latency, errors. Raises BankError."""
        faults = self.faults.of(bank)
        if faults.down:
            raise bank_is_down()
        with self.database.transaction() as connection:
            draws = Draws(connection, bank, stream, faults)
        latency_seconds, fails = draws.latency_seconds(faults), draws.is_hit(faults.error_rate)
        await asyncio.sleep(latency_seconds)
        if fails:
            raise internal_error()

    async def wait_for_other_faults(self, bank: str, hang_up: Coroutine[Any, Any, None]) -> bool:
        """Wait until the bank's faults change.

        False when the caller hangs up, `hold_seconds` pass or the process stops first.
        """
        changed = self._faults_changed[bank]
        await self.wait_for_first(changed.wait(), hang_up, timeout_seconds=self.settings.hold_seconds)
        return changed.is_set()

    async def wait_for_first(self, *events: Coroutine[Any, Any, Any], timeout_seconds: float) -> None:
        """Wait until one of `events` ends, the time is over, or the process is asked to stop."""
        tasks = [asyncio.ensure_future(event) for event in (*events, self.draining.wait())]
        try:
            await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self) -> None:
        """Do due work until cancelled. An error in one round does not end it."""
        while True:
            try:
                self._do_due_work()
            except Exception:
                logger.exception("a round of the background work failed; the next follows")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            self._wake.clear()

    async def close(self) -> None:
        """Wait for the notices under way, then close the file."""
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        await self.notice_sender.close()
        self.database.close()

    def _do_due_work(self) -> None:
        for profile in self.banks.values():
            faults = self.faults.of(profile.code)
            if faults.down:  # a bank that is down does no work and sends no notices
                continue
            with self.database.transaction() as connection:
                netbanking.expire_sessions(connection, profile, faults)
                payouts.do_due_work(connection, profile, faults)
                # Notices in flight are still due, so read enough rows to find others behind them.
                due = notice_queue.due(connection, profile.code, 2 * MAX_IN_FLIGHT_PER_BANK)
            self._start_sending(profile, due)

    def _start_sending(self, profile: BankProfile, due: list[Row]) -> None:
        waiting = [row for row in due if row["id"] not in self._in_flight]
        room = MAX_IN_FLIGHT_PER_BANK - (len(due) - len(waiting))
        for row in waiting[: max(0, room)]:
            task = asyncio.create_task(self._send(profile, row))
            self._in_flight[row["id"]] = task

    async def _send(self, profile: BankProfile, row: Row) -> None:
        try:
            await self.notice_sender.send(profile, row)
        except Exception:
            logger.exception("sending notice %s failed", row["message_id"])
        finally:
            del self._in_flight[row["id"]]
            self.wake()
