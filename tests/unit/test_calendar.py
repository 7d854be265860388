"""A shop's days and months, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import calendar
from shared.calendar import Month, start_of
from shared.inflow.errors import RangeOutOfReach, RangeReversed, RangeTooLong

TODAY = date(2026, 11, 20)
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


def test_ranges_default_to_the_latest_thirty_days_and_twelve_months() -> None:
    days = calendar.days(None, None, today=TODAY)
    assert (days[0], days[-1], len(days)) == (date(2026, 10, 22), TODAY, 30)
    months = calendar.months(None, None, today=TODAY)
    assert (str(months[0]), str(months[-1]), len(months)) == ("2025-12", "2026-11", 12)


def test_a_range_given_from_one_end_only_is_completed() -> None:
    assert calendar.days(date(2026, 11, 18), None, today=TODAY) == [date(2026, 11, day) for day in (18, 19, 20)]
    assert calendar.days(None, date(2020, 3, 1), today=TODAY)[0] == date(2020, 2, 1)
    assert calendar.days(date(2027, 1, 1), None, today=TODAY) == [date(2027, 1, 1)]
    assert calendar.months(Month(2026, 10), None, today=TODAY) == [Month(2026, 10), Month(2026, 11)]


def test_a_range_may_be_a_leap_year_long_and_no_longer() -> None:
    assert len(calendar.days(date(2024, 1, 1), date(2024, 12, 31), today=TODAY)) == 366
    with pytest.raises(RangeTooLong, match="366 days"):
        calendar.days(date(2024, 1, 1), date(2025, 1, 1), today=TODAY)
    assert len(calendar.months(Month(2020, 1), Month(2024, 12), today=TODAY)) == 60
    with pytest.raises(RangeTooLong, match="60 months"):
        calendar.months(Month(2020, 1), Month(2025, 1), today=TODAY)


def test_a_range_runs_forwards_and_stays_within_reach() -> None:
    with pytest.raises(RangeReversed):
        calendar.days(date(2026, 1, 2), date(2026, 1, 1), today=TODAY)
    with pytest.raises(RangeReversed):
        calendar.months(Month(2026, 2), Month(2026, 1), today=TODAY)
    for day in (date.min, date(1969, 12, 31), date(3000, 1, 1), date.max):
        with pytest.raises(RangeOutOfReach):
            calendar.days(day, day, today=TODAY)
        with pytest.raises(RangeOutOfReach):
            calendar.months(Month.of(day), None, today=TODAY)
    with pytest.raises(RangeOutOfReach):
        calendar.months(None, Month(0, 1), today=TODAY)


@given(st.integers(0, 10**15), st.integers(1, 10**6))
def test_an_average_is_rounded_to_the_nearest_paisa_and_halves_up(amount: int, count: int) -> None:
    off = calendar.average(amount, count) - Fraction(amount, count)
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


def test_no_payments_average_nothing() -> None:
    assert calendar.average(0, 0) == 0
