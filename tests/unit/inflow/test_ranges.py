"""Which days and months a report covers, and what an average is."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calendar import Month
from shared.inflow import ranges
from shared.inflow.errors import RangeOutOfReach, RangeReversed, RangeTooLong
from shared.inflow.views import Inflow

TODAY = date(2026, 11, 20)


def test_ranges_default_to_the_latest_thirty_days_and_twelve_months() -> None:
    days = ranges.days(None, None, today=TODAY)
    assert (days[0], days[-1], len(days)) == (date(2026, 10, 22), TODAY, 30)
    months = ranges.months(None, None, today=TODAY)
    assert (str(months[0]), str(months[-1]), len(months)) == ("2025-12", "2026-11", 12)


def test_a_range_given_from_one_end_only_is_completed() -> None:
    assert ranges.days(date(2026, 11, 18), None, today=TODAY) == [date(2026, 11, day) for day in (18, 19, 20)]
    assert ranges.days(None, date(2020, 3, 1), today=TODAY)[0] == date(2020, 2, 1)
    assert ranges.days(date(2027, 1, 1), None, today=TODAY) == [date(2027, 1, 1)]
    assert ranges.months(Month(2026, 10), None, today=TODAY) == [Month(2026, 10), Month(2026, 11)]


def test_a_range_is_at_most_a_leap_year_long() -> None:
    assert len(ranges.days(date(2024, 1, 1), date(2024, 12, 31), today=TODAY)) == 366
    with pytest.raises(RangeTooLong, match="366 days"):
        ranges.days(date(2024, 1, 1), date(2025, 1, 1), today=TODAY)
    assert len(ranges.months(Month(2020, 1), Month(2024, 12), today=TODAY)) == 60
    with pytest.raises(RangeTooLong, match="60 months"):
        ranges.months(Month(2020, 1), Month(2025, 1), today=TODAY)


def test_a_range_that_is_reversed_or_out_of_reach_is_rejected() -> None:
    with pytest.raises(RangeReversed):
        ranges.days(date(2026, 1, 2), date(2026, 1, 1), today=TODAY)
    with pytest.raises(RangeReversed):
        ranges.months(Month(2026, 2), Month(2026, 1), today=TODAY)
    for day in (date.min, date(1969, 12, 31), date(3000, 1, 1), date.max):
        with pytest.raises(RangeOutOfReach):
            ranges.days(day, day, today=TODAY)
        with pytest.raises(RangeOutOfReach):
            ranges.months(Month.of(day), None, today=TODAY)
    with pytest.raises(RangeOutOfReach):
        ranges.months(None, Month(0, 1), today=TODAY)


@given(st.integers(0, 10**15), st.integers(1, 10**6))
def test_an_average_is_rounded_to_the_nearest_paisa_and_halves_up(amount: int, count: int) -> None:
    off = Inflow(amount, count).average - Fraction(amount, count)
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


def test_the_average_of_no_payments_is_zero() -> None:
    assert Inflow(0, 0).average == 0
