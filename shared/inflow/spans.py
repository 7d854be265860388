"""The days that a dashboard shows, and the earlier days beside them. All are days of the shop's time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from shared import calendar
from shared.calendar import ONE_DAY, Month, start_of
from shared.inflow import ranges
from shared.inflow.errors import RangeNotBegun

Preset = Literal["today", "yesterday", "7-days", "30-days", "this-month", "last-month", "12-months"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
_DAYS: Mapping[Preset, int] = {"today": 1, "7-days": 7, "30-days": 30}
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `first` to `last` and those from `earlier_first` to `earlier_last`, all included.

    `last` is today or before. Both are as many days, or whole months, or a year apart.
    """

    first: date
    last: date
    earlier_first: date
    earlier_last: date
    is_like_for_like: bool = True
    """Whether `earlier_last` is to the earlier days what `last` is to these: not, where a month is shorter."""

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    def boundaries(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """When these days begin and end, in UTC; the end is excluded."""
        return start_of(self.first, zone), start_of(self.last + ONE_DAY, zone)

    def is_under_way(self, now: datetime, zone: ZoneInfo) -> bool:
        """Whether the last day has not ended."""
        return self.last >= calendar.today(now, zone)

    def earlier_boundaries(self, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """When the earlier days begin and end, in UTC; the end is excluded.

        While these days are under way, the earlier ones are read until the same time of their last day.
        """
        begins, ends = start_of(self.earlier_first, zone), start_of(self.earlier_last + ONE_DAY, zone)
        if self.is_like_for_like and self.is_under_way(now, zone):
            local = now.astimezone(zone)
            ends = min(ends, datetime.combine(self.earlier_last, local.timetz(), zone).astimezone(UTC))
        return begins, max(begins, ends)


def span_of(preset: Preset, today: date) -> Span:
    """The days of a preset on the day `today`, which most of them include."""
    this_month = Month.of(today)
    match preset:
        case "yesterday":
            return _beside_as_many(today - ONE_DAY, today - ONE_DAY)
        case "this-month":
            first, ends = this_month.plus(-1).first_day, this_month.first_day
            same_day = first + (today.day - 1) * ONE_DAY
            return Span(this_month.first_day, today, first, min(same_day, ends - ONE_DAY), same_day < ends)
        case "last-month":
            first, before = this_month.plus(-1).first_day, this_month.plus(-2).first_day
            return Span(first, this_month.first_day - ONE_DAY, before, first - ONE_DAY)
        case "12-months":
            begun = this_month.plus(1 - _MONTHS)
            return Span(begun.first_day, today, begun.plus(-_MONTHS).first_day, _a_year_before(today))
        case _:
            return _beside_as_many(today - (_DAYS[preset] - 1) * ONE_DAY, today)


def span_between(first: date | None, last: date | None, *, today: date) -> Span:
    """Chosen days, beside as many days before. Those after today are left out; by default the 30 days that end today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach, and RangeNotBegun when every day is after today.
    """
    days = ranges.days(first, last, today=today)
    if days[0] > today:
        raise RangeNotBegun
    return _beside_as_many(days[0], min(days[-1], today))


def offsets_between(begins: datetime, ends: datetime, zone: ZoneInfo) -> list[tuple[datetime, int]]:
    """From which moments on the clock of `zone` is how many seconds ahead of UTC; the first moment is `begins`."""
    found = [(begins, _offset(begins, zone))]
    known = begins
    while known < ends:
        sought = min(known + ONE_DAY, ends)
        if _offset(sought, zone) != found[-1][1]:
            found.append((_first_with_another_offset(known, sought, zone), _offset(sought, zone)))
        known = sought
    return found


def _first_with_another_offset(known: datetime, sought: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the clock changes between the two, which are a day apart at most."""
    low, high = int(known.timestamp()), int(sought.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == _offset(known, zone):
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _offset(moment: datetime, zone: ZoneInfo) -> int:
    ahead = moment.astimezone(zone).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())


def _beside_as_many(first: date, last: date) -> Span:
    earlier_last = first - ONE_DAY
    return Span(first, last, earlier_last - (last - first), earlier_last)


def _a_year_before(day: date) -> date:
    """The same date of the year before; 28 February for 29 February."""
    first = Month.of(day).plus(-_MONTHS)
    return min(first.first_day + (day.day - 1) * ONE_DAY, first.plus(1).first_day - ONE_DAY)
