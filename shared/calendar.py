"""Days and months as a shop lives them. Pure: boundaries come from the time zones, never from adding 24 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.inflow.errors import RangeOutOfReach, RangeReversed, RangeTooLong

FIRST_YEAR = 1970
LAST_YEAR = 2999
MAX_DAYS = 366
MAX_MONTHS = 60
DEFAULT_DAYS = 30
DEFAULT_MONTHS = 12
_MONTHS_PER_YEAR = 12
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> Month:
        """The month a day is in."""
        return cls(day.year, day.month)

    @property
    def first_day(self) -> date:
        """The month begins with it."""
        return date(self.year, self.number, 1)

    def plus(self, months: int) -> Month:
        """So many months later, or earlier when negative."""
        year, index = divmod(self.year * _MONTHS_PER_YEAR + self.number - 1 + months, _MONTHS_PER_YEAR)
        return Month(year, index + 1)

    def until(self, other: Month) -> int:
        """How many months later the other one is."""
        return (other.year - self.year) * _MONTHS_PER_YEAR + other.number - self.number

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which `day` begins there.

    Where midnight is skipped the day begins with the skip, where it comes twice with its first coming.
    """
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def today(now: datetime, zone: ZoneInfo) -> date:
    """The date there."""
    return now.astimezone(zone).date()


def days(first: date | None, last: date | None, *, today: date) -> list[date]:
    """Every day from `first` to `last`, both included: by default DEFAULT_DAYS up to today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    _check_reach(*(day.year for day in (first, last) if day is not None))
    last = last or max(today, first or today)
    first = first or last - (DEFAULT_DAYS - 1) * _DAY
    if first > last:
        raise RangeReversed
    count = (last - first).days + 1
    if count > MAX_DAYS:
        raise RangeTooLong(MAX_DAYS, "days")
    return [first + offset * _DAY for offset in range(count)]


def months(first: Month | None, last: Month | None, *, today: date) -> list[Month]:
    """Every month from `first` to `last`, both included: by default DEFAULT_MONTHS up to this one.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    _check_reach(*(month.year for month in (first, last) if month is not None))
    present = Month.of(today)
    last = last or max(present, first or present)
    first = first or last.plus(1 - DEFAULT_MONTHS)
    if first > last:
        raise RangeReversed
    count = first.until(last) + 1
    if count > MAX_MONTHS:
        raise RangeTooLong(MAX_MONTHS, "months")
    return [first.plus(offset) for offset in range(count)]


def average(amount: int, count: int) -> int:
    """Paise per payment, half a paisa rounded up; 0 for no payment."""
    return (2 * amount + count) // (2 * count) if count else 0


def _check_reach(*years: int) -> None:
    if any(not FIRST_YEAR <= year <= LAST_YEAR for year in years):
        raise RangeOutOfReach(FIRST_YEAR, LAST_YEAR)
