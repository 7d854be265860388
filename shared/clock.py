"""The current time in UTC. All code reads it here, so that a test can set it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The current time, timezone-aware, UTC."""
    return _source()


@contextmanager
def reading(source: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `source` inside the block, for every thread of this process."""
    global _source  # noqa: PLW0603 - one clock for the whole process
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
