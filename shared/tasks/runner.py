"""One event loop per worker process, on a thread of its own, with the resources that live on it.

Celery's threads hand over their coroutines and wait; what goes on for as long as the worker is begun on the loop, too.
The loop and what lives on it (engine, bank clients) are built at first use, in the process that uses them, so that no
process inherits them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

import uvloop

_logger = logging.getLogger(__name__)

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 30.0

Resources = TypeVar("Resources")
Result = TypeVar("Result")


class IsStopping(Exception):
    """The worker was told to stop before the work had ended. Another one may do it."""


class Runner(Generic[Resources]):
    """Runs coroutines for threads. `open_resources` is entered on the loop, and left when the runner closes."""

    def __init__(self, open_resources: Callable[[], AbstractAsyncContextManager[Resources]]) -> None:
        self._open_resources = open_resources
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._context: AbstractAsyncContextManager[Resources] | None = None
        self._resources: Resources | None = None
        self._ends_at = float("inf")
        """By the loop's clock: when the last run is cancelled."""
        self._limits: set[asyncio.Timeout] = set()

    def run(self, work: Callable[[Resources], Coroutine[Any, Any, Result]], *, timeout_seconds: float) -> Result:
        """Run `work` on the loop and wait for it. The coroutine is cancelled after `timeout_seconds`.

        Raises TimeoutError, and IsStopping when the worker stops before that.
        """
        future = self.begin(lambda resources: self._bounded(work(resources), timeout_seconds))
        try:
            return future.result()
        except CancelledError:
            raise IsStopping from None

    def begin(self, work: Callable[[Resources], Coroutine[Any, Any, Result]]) -> Future[Result]:
        """Begin `work` on the loop, and return at once."""
        loop, resources = self._started()
        return asyncio.run_coroutine_threadsafe(work(resources), loop)

    def end_within(self, seconds: float) -> None:
        """Give all runs so many seconds more. What `begin` began goes on. A signal's handler may call it."""
        loop = self._loop  # not by `_started`, whose lock the interrupted thread may hold
        if loop is not None:
            loop.call_soon_threadsafe(self._shorten, seconds)

    def close(self) -> None:
        """Close the resources and the loop. What still runs is cancelled; its leases expire."""
        with self._lock:
            if self._loop is None or self._thread is None:
                return
            asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(STOP_TIMEOUT_SECONDS)
            self._stop_loop(self._loop, self._thread)
            self._loop = self._thread = self._context = self._resources = None

    def _started(self) -> tuple[asyncio.AbstractEventLoop, Resources]:
        with self._lock:
            if self._loop is None or self._resources is None:
                loop = uvloop.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="runner", daemon=True)
                thread.start()
                try:
                    entering = asyncio.run_coroutine_threadsafe(self._enter(), loop)
                    self._resources = entering.result(START_TIMEOUT_SECONDS)
                except BaseException:
                    self._stop_loop(loop, thread)
                    raise
                self._loop, self._thread = loop, thread
            return self._loop, self._resources

    async def _enter(self) -> Resources:
        self._context = self._open_resources()
        return await self._context.__aenter__()

    async def _leave(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert self._context is not None
        await self._context.__aexit__(None, None, None)

    def _stop_loop(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_TIMEOUT_SECONDS)
        loop.close()

    def _shorten(self, seconds: float) -> None:
        assert self._loop is not None
        self._ends_at = self._loop.time() + seconds
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(min(self._ends_at, limit.when() or self._ends_at))

    async def _bounded(self, coroutine: Coroutine[Any, Any, Result], seconds: float) -> Result:
        limit = asyncio.timeout_at(min(self._ends_at, asyncio.get_running_loop().time() + seconds))
        try:
            async with limit:
                self._limits.add(limit)
                return await coroutine
        except TimeoutError:
            if limit.expired() and limit.when() == self._ends_at:
                raise IsStopping from None
            raise
        finally:
            self._limits.discard(limit)
