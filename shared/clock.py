"""The current time in UTC. All code reads it here, so that a test can set it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

Timespec = Literal["auto", "seconds", "milliseconds", "microseconds"]


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The current time, timezone-aware, UTC."""
    return _source()


def rfc3339(moment: datetime, timespec: Timespec = "microseconds") -> str:
    """The moment as RFC 3339 text in UTC with `Z`; `timespec` as `datetime.isoformat` takes it.

    With a fixed `timespec` every text has the same width and sorts as time; "auto" leaves out microseconds of 0.
    """
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


@contextmanager
def reading(source: Callable[[], datetime]) -> Iterator[None]:
    """Take the time from `source` inside the block, for every thread of this process. Blocks may nest, not overlap: the
    one that ends last would leave the clock of the other behind. Raises RuntimeError then.
    """
    global _source
    before, _source = _source, source
    try:
        yield
    finally:
        is_overlapped, _source = _source is not source, before
        if is_overlapped:
            raise RuntimeError("two blocks that set the clock overlap")
