"""Plugin of pytest for `tests.support.dates --every-test`: a month ends, or an offset changes, during each test.

The clock only moves forward, from one such moment to the next, so a run goes through decades. One process only.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.support.dates import move_clock

SETUP = timedelta(seconds=10)
"""The fixtures of a test are made so long before its moment."""
CALL_SECONDS = (0.0, 0.4)
"""The test itself begins so long before its moment: another time for each test and run."""
HOUR = timedelta(hours=1)
MONTHS_OF = (ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata"))
OFFSETS_OF = (ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin"))


def moments_of(year: int) -> list[datetime]:
    """The moments of a year at which a month begins, or at which an offset changes, in order."""
    months = {datetime(year, month, 1, tzinfo=zone).astimezone(UTC) for zone in MONTHS_OF for month in range(1, 13)}
    hours = [datetime(year, 1, 1, tzinfo=UTC) + number * HOUR for number in range(366 * 24)]
    changes = {
        at for at in hours for zone in OFFSETS_OF if _offset(at - timedelta(seconds=1), zone) != _offset(at, zone)
    }
    return sorted(months | changes)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()


def moments_after(start: datetime) -> Iterator[datetime]:
    """All those moments from `start` on."""
    for year in range(start.year, 9999):
        yield from (moment for moment in moments_of(year) if moment > start)


_moments = moments_after(datetime.now(UTC) + SETUP)
_moment = pytest.StashKey[datetime]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose the test's moment, and let its fixtures see the time shortly before."""
    item.stash[_moment] = next(moment for moment in _moments if moment > datetime.now(UTC) + SETUP)
    move_clock(item.stash[_moment] - SETUP)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Let the test begin just before its moment, unless its fixtures took longer than that."""
    begins_at = item.stash[_moment] - timedelta(seconds=random.uniform(*CALL_SECONDS))
    if datetime.now(UTC) < begins_at:
        move_clock(begins_at)
    try:
        return (yield)
    finally:
        item.add_report_section("call", "date", f"the moment was {item.stash[_moment]}")
