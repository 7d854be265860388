"""Hint to a worker that an owner has withdrawals to carry out. Best effort: its sweep finds them without a hint."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from uuid import UUID

from shared import spans
from shared.redis.cool_down import CoolDown
from shared.tasks.application import create_celery
from shared.tasks.names import ADVANCE_WITHDRAWALS, TRACEPARENT

_logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.25
COOL_DOWN_SECONDS = 2.0
"""After a failure no hint is sent for this long, so that a lost broker delays one caller and not every caller."""
MAX_PENDING = 100
EXPIRES_SECONDS = 60.0
"""A hint that no worker took for this long is stale; the sweep has sent newer ones."""


class Hints:
    """Sends hints from one thread of its own. It raises nothing and waits at most `timeout_seconds`."""

    def __init__(self, broker_url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._celery = create_celery(broker_url, "batua.hints", socket_timeout_seconds=timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hints")
        self._room = BoundedSemaphore(MAX_PENDING)
        self._cool_down = CoolDown(COOL_DOWN_SECONDS)

    async def withdrawal(self, owner_id: UUID) -> None:
        """Send a hint about this owner. Call it after the commit."""
        if not self._has_room():
            return
        loop = asyncio.get_running_loop()
        sending = loop.run_in_executor(self._thread, self._send_pending, owner_id, spans.traceparent())
        await asyncio.wait([sending], timeout=self._timeout_seconds)

    def send(self, owner_id: UUID, traceparent: str | None = None) -> bool:
        """Send a hint from a thread that may wait. False: the broker did not take it, and the sweep will find it."""
        if not self._cool_down.is_over:
            return False
        try:
            self._celery.send_task(
                ADVANCE_WITHDRAWALS,
                args=[str(owner_id)],
                headers={} if traceparent is None else {TRACEPARENT: traceparent},
                expires=EXPIRES_SECONDS,
                ignore_result=True,
            )
        except Exception as error:  # anything that the broker or its driver raises: a hint may be lost
            self._cool_down.start()
            _logger.warning("hint not sent, the sweep will find it: %s", type(error).__name__)
            return False
        return True

    def close(self) -> None:
        """Drop the pending hints and close the connection to the broker."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._celery.close()

    def _has_room(self) -> bool:
        return self._cool_down.is_over and self._room.acquire(blocking=False)

    def _send_pending(self, owner_id: UUID, traceparent: str | None) -> None:
        try:
            self.send(owner_id, traceparent)
        finally:
            self._room.release()
