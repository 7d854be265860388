"""The time, in UTC. Everything that asks for it asks here, so that a test can hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The present moment, timezone-aware, UTC."""
    return _source()


@contextmanager
def reading(source: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `source` inside the block, for every thread of this process."""
    global _source  # noqa: PLW0603 - the one deliberate global: time is the same for everybody
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
