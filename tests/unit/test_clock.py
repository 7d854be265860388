"""How a moment is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared import clock
from shared.clock import Timespec, rfc3339

INDIA = timezone(timedelta(hours=5, minutes=30))
NOW = datetime(2026, 10, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timespec", "text"),
    [
        ("microseconds", "2026-10-16T00:00:00.000000Z"),
        ("seconds", "2026-10-16T00:00:00Z"),
        ("auto", "2026-10-16T00:00:00Z"),
    ],
)
def test_a_moment_is_written_in_utc_and_read_back(timespec: Timespec, text: str) -> None:
    moment = datetime(2026, 10, 16, 5, 30, tzinfo=INDIA)
    assert rfc3339(moment, timespec) == text
    assert datetime.fromisoformat(text) == moment


def test_texts_sort_as_their_moments_do() -> None:
    moments = [datetime(year, 1, 1, microsecond=micro, tzinfo=UTC) for year in (1, 999, 2026) for micro in (0, 1, 10)]
    assert sorted(map(rfc3339, moments)) == [rfc3339(moment) for moment in moments]


def test_blocks_that_overlap_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_source", clock._source)  # restored after the test
    first, second = clock.reading(lambda: NOW), clock.reading(lambda: NOW)
    first.__enter__()
    second.__enter__()
    with pytest.raises(RuntimeError, match="overlap"):
        first.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match="overlap"):
        second.__exit__(None, None, None)
