"""Days and months of a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import calendar
from shared.calendar import Month, start_of

DECADES_AGO = datetime(2015, 1, 1, tzinfo=UTC)
ZONES = sorted(available_timezones() - {"localtime", "Factory"})

zones = st.sampled_from(ZONES).map(ZoneInfo)
recent_days = st.dates(date(2015, 1, 1), date(2035, 12, 31))


@given(zones, recent_days)
def test_a_day_begins_with_the_first_moment_that_has_its_date(zone: ZoneInfo, day: date) -> None:
    begins = start_of(day, zone)
    assert begins.astimezone(zone).date() == day
    assert (begins - timedelta(microseconds=1)).astimezone(zone).date() < day


@given(zones, st.timedeltas(timedelta(0), timedelta(days=20 * 365)).map(lambda passed: DECADES_AGO + passed))
def test_every_moment_is_within_its_own_day(zone: ZoneInfo, moment: datetime) -> None:

    day = calendar.today(moment, zone)
    assert start_of(day, zone) <= moment < start_of(day + timedelta(days=1), zone)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # midnight itself is skipped
        ("America/Havana", date(2026, 11, 1), 25),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 30), 0),  # a day that never was
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ],
)
def test_days_are_as_long_as_the_clocks_say(zone: str, day: date, hours: float) -> None:
    length = start_of(day + timedelta(days=1), ZoneInfo(zone)) - start_of(day, ZoneInfo(zone))
    assert length == timedelta(hours=hours)


@given(st.integers(1, 9998), st.integers(1, 12), st.integers(-200, 200))
def test_months_add_up_like_a_count_of_months(year: int, number: int, step: int) -> None:
    month = Month(year, number)
    later = month.plus(step)
    assert 1 <= later.number <= 12
    assert month.until(later) == step
    assert later.plus(-step) == month
    assert (later > month) == (step > 0)


@given(zones, recent_days)
def test_every_day_everywhere_begins_at_a_quarter_of_an_hour(zone: ZoneInfo, day: date) -> None:
    """What roll-ups rest upon. The last to do otherwise was Monrovia, until 1972."""
    assert start_of(day, zone).timestamp() % 900 == 0
