"""Which days or months a report covers: both ends are included, and either may be left out."""

from __future__ import annotations

from datetime import date

from shared.calendar import ONE_DAY, Month
from shared.inflow.errors import RangeOutOfReach, RangeReversed, RangeTooLong

FIRST_YEAR = 1970
LAST_YEAR = 2999
MAX_DAYS = 366
MAX_MONTHS = 60
DEFAULT_DAYS = 30
DEFAULT_MONTHS = 12


def days(first: date | None, last: date | None, *, today: date) -> list[date]:
    """Every day from `first` to `last`; by default the DEFAULT_DAYS that end today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    _check_years(*(day.year for day in (first, last) if day is not None))
    last = last or max(today, first or today)
    first = first or last - (DEFAULT_DAYS - 1) * ONE_DAY
    if first > last:
        raise RangeReversed
    count = (last - first).days + 1
    if count > MAX_DAYS:
        raise RangeTooLong(MAX_DAYS, "days")
    return [first + offset * ONE_DAY for offset in range(count)]


def months(first: Month | None, last: Month | None, *, today: date) -> list[Month]:
    """Every month from `first` to `last`; by default the DEFAULT_MONTHS that end with today's.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    _check_years(*(month.year for month in (first, last) if month is not None))
    this_month = Month.of(today)
    last = last or max(this_month, first or this_month)
    first = first or last.plus(1 - DEFAULT_MONTHS)
    if first > last:
        raise RangeReversed
    count = first.until(last) + 1
    if count > MAX_MONTHS:
        raise RangeTooLong(MAX_MONTHS, "months")
    return [first.plus(offset) for offset in range(count)]


def _check_years(*years: int) -> None:
    if any(not FIRST_YEAR <= year <= LAST_YEAR for year in years):
        raise RangeOutOfReach(FIRST_YEAR, LAST_YEAR)
