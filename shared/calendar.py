"""Days and months of a time zone, as values. Their boundaries come from the time zone database: a day may be 23 or 25
hours long, so none is found by adding 24 hours to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

INDIA = ZoneInfo("Asia/Kolkata")
"""The zone of limits, of user_app's pages, and of a shop that sets none."""
ONE_DAY = timedelta(days=1)
_MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A calendar day: from `starts_at` until just before `ends_at`, both in UTC."""

    date: date
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month; `number` is 1 to 12."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> Month:
        """The month that contains `day`."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The month's first day."""
        return date(self.year, self.number, 1)

    def plus(self, months: int) -> Month:
        """The month that is `months` later, or earlier when negative."""
        year, index = divmod(self.year * _MONTHS_PER_YEAR + self.number - 1 + months, _MONTHS_PER_YEAR)
        return Month(year, index + 1)

    def until(self, other: Month) -> int:
        """How many months later `other` is."""
        return (other.year - self.year) * _MONTHS_PER_YEAR + other.number - self.number

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """When `day` begins in `zone`, in UTC: at midnight, at the end of a skipped midnight, at the first of two."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def today(now: datetime, zone: ZoneInfo) -> date:
    """The date in `zone` at the moment `now`."""
    return now.astimezone(zone).date()


def indian_day(moment: datetime) -> CalendarDay:
    """The day in India that contains `moment`."""
    return _indian_day(today(moment, INDIA))


@lru_cache(maxsize=4)
def _indian_day(day: date) -> CalendarDay:
    return CalendarDay(day, start_of(day, INDIA), start_of(day + ONE_DAY, INDIA))
