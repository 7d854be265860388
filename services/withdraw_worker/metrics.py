"""What the worker and the scheduler count for Prometheus. What they ask of Postgres and Redis is in `questions`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram

_SENT = Counter("batua_mails_sent", "Mails that the mail server accepted")
_TASKS = Histogram(
    "batua_task_seconds",
    "Tasks of the worker by outcome: done, failed, database_away",
    ["task", "outcome"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300),
)
_LAST_TASK = Gauge("batua_last_task_timestamp_seconds", "When the worker ended a task last, or began to wait for one")
_SCHEDULED = Counter("batua_scheduled", "Messages that the scheduler sent", ["task"])


@dataclass(slots=True)
class Ended:
    """How a task ended."""

    outcome: str = "failed"


def count_sent(mails: int) -> None:
    """Count mails that were sent."""
    _SENT.inc(mails)


def begin_counting_tasks() -> None:
    """The worker begins to wait for tasks."""
    _LAST_TASK.set_to_current_time()


@contextmanager
def timed_task(task: str) -> Iterator[Ended]:
    """Note how long a task takes and how it ends: the block says so, and has failed if it does not."""
    began, ended = time.perf_counter(), Ended()
    try:
        yield ended
    finally:
        _TASKS.labels(task, ended.outcome).observe(time.perf_counter() - began)
        _LAST_TASK.set_to_current_time()


def count_scheduled(task: str) -> None:
    """Count a message of the scheduler."""
    _SCHEDULED.labels(task).inc()
