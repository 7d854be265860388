"""Celery beat's scheduler. Any number may run: the one that holds the lease sends, the others stand by."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from celery.beat import Scheduler
from celery.schedules import BaseSchedule, maybe_schedule

from services.withdraw_worker import sendings
from services.withdraw_worker.settings import WorkerSettings
from shared import clock
from shared.config import read_settings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.db.outages import is_outage
from shared.ids import new_token
from shared.runtime.heartbeat import Heartbeat
from shared.tasks.runner import Runner

LOOK_SECONDS = 1.0
"""How often a scheduler looks what is due, and whether it may send."""
TICK_SECONDS = 30.0
GIVE_BACK_SECONDS = 5.0
PROLONGED_AT = 1 / 3
"""Of the lease."""

_logger = logging.getLogger(__name__)


class NotSent(Exception):
    """The broker did not take a task. It is still due."""


@dataclass(frozen=True, slots=True)
class RegularTask:
    """An entry of the schedule."""

    name: str
    task: str
    schedule: BaseSchedule
    options: Mapping[str, Any]

    def options_at(self, counted_from: datetime) -> dict[str, Any]:
        """Those of a sending: its message goes stale so long after it was due, however long a busy broker takes it."""
        return {**self.options, "expires": counted_from + timedelta(seconds=self.options["expires"])}


class LeasedScheduler(Scheduler):
    """Looks every LOOK_SECONDS. What was sent, and when, is in Postgres, so a scheduler that takes over sends nothing a
    second time and leaves nothing out.
    """

    def __init__(self, app: Any, *, schedule_filename: str | None = None, **options: Any) -> None:
        super().__init__(app, **options)
        self._tasks = [
            RegularTask(
                name, entry["task"], cast("BaseSchedule", maybe_schedule(entry["schedule"], app=app)), entry["options"]
            )
            for name, entry in app.conf.beat_schedule.items()
        ]
        self._settings = read_settings(WorkerSettings)
        self._runner: Runner[SessionMaker] = Runner(self._open_sessions)
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{new_token(4)}"
        self._counted_from: dict[str, datetime] | None = None
        """None while another one sends."""
        self._prolong_at = 0.0
        named = self._settings.heartbeat_file or schedule_filename
        self._heart = Heartbeat(Path(named) if named else None)
        self._is_told_to_stop = False

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due, if this scheduler may. Returns the seconds until the next look."""
        try:
            self._runner.run(self._send_due, timeout_seconds=TICK_SECONDS)
        except NotSent as error:
            _logger.warning("regular tasks wait: the broker took none (%s)", error)
        except Exception as error:
            self._counted_from = None  # whatever was recorded is read again
            if not is_outage(error):
                raise
            _logger.warning("regular tasks wait: the database is away (%s)", type(error).__name__)
        self._heart.beat()  # without broker or database, too: to start this process anew would not bring them back
        return LOOK_SECONDS

    def close(self) -> None:
        """Give the lease back. Celery calls it twice at a stop: in the signal's handler, where nothing may wait, and
        after the last tick.
        """
        super().close()
        if not self._is_told_to_stop:
            self._is_told_to_stop = True
            return
        try:
            self._runner.run(partial(sendings.give_back, holder=self._holder), timeout_seconds=GIVE_BACK_SECONDS)
        except Exception as error:  # then it ends by itself
            _logger.warning("the lease was not given back: %s", type(error).__name__)
        self._runner.close()

    @asynccontextmanager
    async def _open_sessions(self) -> AsyncIterator[SessionMaker]:
        engine = create_engine(self._settings, application_name="scheduler", pool_size=1)
        yield create_sessionmaker(engine)
        await engine.dispose()

    async def _send_due(self, sessionmaker: SessionMaker) -> None:
        if not await self._has_lease(sessionmaker):
            if self._counted_from is not None:
                _logger.warning("another scheduler sends regular tasks now")
            self._counted_from = None
            return
        if self._counted_from is None:
            names = [task.name for task in self._tasks]
            self._counted_from = await sendings.counted_from(sessionmaker, names, clock.now())
            _logger.info("this scheduler sends regular tasks now")
        for task in self._tasks:
            last = self._counted_from[task.name]
            is_due, _ = task.schedule.is_due(last)
            if is_due and not await self._send(sessionmaker, task, last):
                return

    async def _has_lease(self, sessionmaker: SessionMaker) -> bool:
        """Take the lease, or prolong it in time. Each sending makes sure of it again."""
        now, seconds = asyncio.get_running_loop().time(), self._settings.scheduler_lease_seconds
        if self._counted_from is not None and now < self._prolong_at:
            return True
        self._prolong_at = now + seconds * PROLONGED_AT
        return await sendings.take_lease(sessionmaker, self._holder, seconds)

    async def _send(self, sessionmaker: SessionMaker, task: RegularTask, last: datetime) -> bool:
        now = clock.now()
        send = partial(self._send_task, task, now)
        if not await sendings.send_once(sessionmaker, self._holder, task.name, send, last=last, now=now):
            self._counted_from = None
            return False
        assert self._counted_from is not None
        self._counted_from[task.name] = now
        return True

    def _send_task(self, task: RegularTask, now: datetime) -> None:
        try:
            self.app.send_task(task.task, **task.options_at(now))
        except Exception as error:  # anything that the broker or its driver raises
            raise NotSent(f"{task.name}: {type(error).__name__}") from error
