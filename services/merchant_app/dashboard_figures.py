"""The figures of a shop's dashboard in words: each period beside the one before, days, months and hours as charts.

Pure: texts and bars made of what `shared.inflow` has read. Amounts are paise. A date of another year carries its year.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date

from services.merchant_app.charts import BarChart, Point, bar_chart
from shared.calendar import ONE_DAY, Month
from shared.inflow.rollups import HOURS
from shared.inflow.views import Inflow, Overview, Report
from shared.pages import formatting

_LABELS_OF_DAYS, _LABELS_OF_MONTHS = 3, 7
"""What a narrow phone has room for; twice as many months have every second labelled."""
_HOURS_PER_LABEL = 6
_LETTERS_OF_A_MONTH = 3
_PER_CENT = 100
_EN_DASH = "\u2013"
KEPT_NAMES = 1024
"""A dashboard writes some sixty days and months, nearly the same as every other on that day."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One period beside another: which way it differs, and the sentence that says so."""

    trend: Literal["up", "down", "same"]
    text: str


@dataclass(frozen=True, slots=True)
class Period:
    """A day, month or hour: a row of the table, a bar of the chart. `label` is empty where the axis has no room."""

    name: str
    label: str
    inflow: Inflow


@dataclass(frozen=True, slots=True)
class OverviewFigures:
    """Today and this month, whatever range is chosen."""

    today: Inflow
    this_month: Inflow
    yesterday: Inflow
    against_yesterday: Comparison
    against_last_month: Comparison


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """The chosen range in words: `days` are its dates, `earlier` what stands beside it. Steps and hours are bars."""

    report: Report
    days: str
    earlier: str
    against_earlier: Comparison
    steps: Sequence[Period]
    hours: Sequence[Period]
    busiest: Period | None

    @property
    def step_chart(self) -> BarChart:
        """The days or months as bars; the one that has not ended stands out."""
        return _chart(self.steps, len(self.steps) - 1 if self.report.is_under_way else None)

    @property
    def hour_chart(self) -> BarChart:
        """The hours of the day as bars; the busiest stands out."""
        return _chart(self.hours, None if self.busiest is None else self.hours.index(self.busiest))


def figures_of(overview: Overview, zone: ZoneInfo) -> OverviewFigures:
    """Today beside yesterday until this time of day; this month beside as many days of last month."""
    summary = overview.summary
    until = f"by {formatting.at(overview.yesterday_until, zone)}"
    return OverviewFigures(
        today=summary.today,
        this_month=summary.this_month,
        yesterday=summary.yesterday,
        against_yesterday=_against_yesterday(overview, until),
        against_last_month=_in_per_cent(
            summary.this_month.amount, overview.last_month_so_far.amount, _days_so_far(overview.today)
        ),
    )


def report_figures(report: Report, *, today: date, zone: ZoneInfo) -> ReportFigures:
    """The words, bars and rows of a report."""
    span = report.span
    earlier = days_in_words(span.earlier_first, span.earlier_last, today=today)
    is_cut = report.is_under_way and span.is_like_for_like
    beside = f"{earlier} by {formatting.at(report.earlier_until, zone)}" if is_cut else earlier
    hours = [Period(_hour(hour), _hour_label(hour), inflow) for hour, inflow in enumerate(report.hours)]
    busiest = max(hours, key=lambda hour: hour.inflow.amount)
    return ReportFigures(
        report=report,
        days=days_in_words(span.first, span.last, today=today),
        earlier=beside,
        against_earlier=_more_or_less(report.total.amount, report.earlier.amount),
        steps=_steps(report, today),
        hours=hours,
        busiest=busiest if busiest.inflow.count else None,
    )


def days_in_words(first: date, last: date, *, today: date) -> str:
    """`20 Nov`, `7-13 Nov`, `22 Sep - 21 Oct` with dashes; a date that is not of today's year carries its own."""
    if first == last:
        return formatting.short_day(last, today)
    if Month.of(first) == Month.of(last):
        return f"{first.day}{_EN_DASH}{formatting.short_day(last, today)}"
    return f"{formatting.short_day(first, today)} {_EN_DASH} {formatting.short_day(last, today)}"


def _against_yesterday(overview: Overview, until: str) -> Comparison:
    today, before = overview.summary.today.amount, overview.yesterday_so_far.amount
    if not overview.summary.yesterday.amount:
        return Comparison("same", "Nothing received yesterday")
    if today == before:
        return Comparison("same", f"As much as yesterday {until}")
    difference = formatting.rupees(abs(today - before))
    if today > before:
        return Comparison("up", f"{difference} more than yesterday {until}")
    return Comparison("down", f"{difference} less than yesterday {until}")


def _in_per_cent(present: int, before: int, span: str) -> Comparison:
    """One sum beside another, in whole per cent."""
    if not before:
        return Comparison("same", f"{span}: nothing received")
    per_cent = _per_cent(present, before)
    if not per_cent:
        return Comparison("same", f"As much as {span}")
    more = present > before
    return Comparison("up" if more else "down", f"{formatting.number(per_cent)}% {'above' if more else 'below'} {span}")


def _more_or_less(present: int, before: int) -> Comparison:
    """How much more was received than in the days that are written beside it."""
    if not before:
        return Comparison("same", "Nothing to compare with")
    per_cent = _per_cent(present, before)
    if not per_cent:
        return Comparison("same", "As much as before")
    if present > before:
        return Comparison("up", f"{formatting.number(per_cent)}% more than before")
    return Comparison("down", f"{formatting.number(per_cent)}% less than before")


def _per_cent(present: int, before: int) -> int:
    return (abs(present - before) * _PER_CENT + before // 2) // before


def _days_so_far(today: date) -> str:
    this_month = Month.of(today)
    last_month = this_month.plus(-1).first_day
    last_day = min(today.day, (this_month.first_day - last_month).days)
    days = "1" if last_day == 1 else f"1{_EN_DASH}{last_day}"
    return f"{days} {_format(last_month, 'MMMM')}{_year(last_month, today)}"


def _steps(report: Report, today: date) -> Sequence[Period]:
    if report.is_by_month:
        count = len(report.steps)
        every = 1 if count <= _LABELS_OF_MONTHS else 2
        return [
            Period(_month(day, report, today), "" if (count - 1 - place) % every else _month_label(day), inflow)
            for place, (day, inflow) in enumerate(report.steps)
        ]
    days_per_label = -(-report.span.days // _LABELS_OF_DAYS)
    return [
        Period(
            f"{_format(day, 'EEE, d MMM')}{_year(day, today)}",
            "" if (report.span.last - day).days % days_per_label else _format(day, "d MMM"),
            inflow,
        )
        for day, inflow in report.steps
    ]


def _month(first: date, report: Report, today: date) -> str:
    """A month's name, or which days of it: of a chosen range the first and the last month may be parts."""
    last = min(Month.of(first).plus(1).first_day - ONE_DAY, report.span.last)
    is_whole = first.day == 1 and (Month.of(last + ONE_DAY) != Month.of(first) or last == today)
    if is_whole:
        return f"{_format(first, 'MMMM')}{_year(first, today)}"
    return days_in_words(first, last, today=today)


def _chart(periods: Sequence[Period], marked: int | None) -> BarChart:
    return bar_chart(
        [
            Point(each.inflow.amount, f"{each.name}: {formatting.rupees(each.inflow.amount)}", each.label)
            for each in periods
        ],
        marked,
    )


def _year(day: date, today: date) -> str:
    return "" if day.year == today.year else f" {day.year}"


def _month_label(day: date) -> str:
    return _format(day, "MMM")[:_LETTERS_OF_A_MONTH]


def _hour(hour: int) -> str:
    """`9-10 am`, `11 am - 12 pm` with dashes."""
    ends = (hour + 1) % HOURS
    if _half(hour) == _half(ends):
        return f"{_on_dial(hour)}{_EN_DASH}{_on_dial(ends)} {_half(ends)}"
    return f"{_on_dial(hour)} {_half(hour)} {_EN_DASH} {_on_dial(ends)} {_half(ends)}"


def _hour_label(hour: int) -> str:
    return "" if hour % _HOURS_PER_LABEL else f"{_on_dial(hour)} {_half(hour)}"


def _on_dial(hour: int) -> int:
    return hour % formatting.NOON or formatting.NOON


def _half(hour: int) -> str:
    return "am" if hour < formatting.NOON else "pm"


@lru_cache(maxsize=KEPT_NAMES)
def _format(day: date, pattern: str) -> str:
    return format_date(day, pattern, locale=formatting.LOCALE)
