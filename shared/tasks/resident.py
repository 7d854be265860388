"""Work that a worker does beside its tasks, from its start until it is told to stop.

It needs no message: it begins before the worker connects to the broker, and goes on while the broker is away.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from celery import bootsteps


def resident(
    begin: Callable[[], Future[None]], tell_to_end: Callable[[], None], end_seconds: float
) -> type[bootsteps.StartStopStep]:
    """A step of the worker that begins the work, and at a warm shutdown tells it to end and waits for that.

    Raises TimeoutError, which Celery logs, when it has not ended `end_seconds` later. A cold shutdown does not wait.
    """

    class Resident(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def __init__(self, worker: Any, **options: Any) -> None:
            super().__init__(worker, **options)
            self._work: Future[None] | None = None

        def start(self, _worker: Any) -> None:
            self._work = begin()

        def stop(self, _worker: Any) -> None:
            if self._work is not None:
                tell_to_end()
                self._work.result(end_seconds)

    return Resident
