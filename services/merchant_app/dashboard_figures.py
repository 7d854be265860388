"""The figures of a shop's dashboard: each period beside the one before, the latest days and months as charts.

Pure: texts and bars made of what `shared.inflow` has read. Amounts are paise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from babel.dates import format_date

from services.merchant_app.charts import BarChart, Point, bar_chart
from shared.calendar import Month
from shared.inflow.views import Inflow, RecentInflow
from shared.pages import formatting

_DAYS_PER_LABEL = 7
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
    """A day or a month: a row of the table, a bar of the chart. `label` is for the axis, empty where it has no room."""

    name: str
    label: str
    inflow: Inflow


@dataclass(frozen=True, slots=True)
class DashboardFigures:
    """What the dashboard shows. Days and months come oldest first and end with the present one."""

    today: Inflow
    this_month: Inflow
    against_yesterday: Comparison
    against_last_month: Comparison
    days: Sequence[Period]
    months: Sequence[Period]

    @property
    def day_chart(self) -> BarChart:
        """The last 30 days as bars."""
        return _chart(self.days)

    @property
    def month_chart(self) -> BarChart:
        """The last 12 months as bars."""
        return _chart(self.months)


def figures_of(recent: RecentInflow) -> DashboardFigures:
    """The figures that a dashboard shows of this inflow."""
    summary = recent.summary
    count = len(recent.daily.items)
    return DashboardFigures(
        today=summary.today,
        this_month=summary.this_month,
        against_yesterday=_against_yesterday(summary.today.amount, summary.yesterday.amount),
        against_last_month=_against_last_month(recent),
        days=[
            Period(_format(day, "EEE, d MMM"), _label(day, count - 1 - index), inflow)
            for index, (day, inflow) in enumerate(recent.daily.items)
        ],
        months=[
            Period(_format(month.first_day, "MMMM y"), _format(month.first_day, "MMM")[:_LETTERS_OF_A_MONTH], inflow)
            for month, inflow in recent.monthly.items
        ],
    )


def _against_yesterday(today: int, yesterday: int) -> Comparison:
    """Today has not ended, so it is shown as ahead of the whole of yesterday, but never as behind it."""
    if not yesterday:
        return Comparison("same", "Nothing received yesterday")
    if today > yesterday:
        return Comparison("up", f"{formatting.rupees(today - yesterday)} more than all of yesterday")
    return Comparison("same", f"Yesterday: {formatting.rupees(yesterday)}")


def _against_last_month(recent: RecentInflow) -> Comparison:
    """This month so far beside as many days of last month, in whole per cent."""
    span = _days_so_far(recent.today)
    present, before = recent.summary.this_month.amount, recent.last_month_so_far.amount
    if not before:
        return Comparison("same", f"{span}: nothing received")
    per_cent = (abs(present - before) * _PER_CENT + before // 2) // before
    if not per_cent:
        return Comparison("same", f"As much as {span}")
    more = present > before
    return Comparison("up" if more else "down", f"{formatting.number(per_cent)}% {'above' if more else 'below'} {span}")


def _days_so_far(today: date) -> str:
    this_month = Month.of(today)
    last_month = this_month.plus(-1).first_day
    last_day = min(today.day, (this_month.first_day - last_month).days)
    days = "1" if last_day == 1 else f"1{_EN_DASH}{last_day}"
    return f"{days} {_format(last_month, 'MMMM')}"


def _chart(periods: Sequence[Period]) -> BarChart:
    return bar_chart(
        [
            Point(each.inflow.amount, f"{each.name}: {formatting.rupees(each.inflow.amount)}", each.label)
            for each in periods
        ]
    )


def _label(day: date, days_ago: int) -> str:
    return "" if days_ago % _DAYS_PER_LABEL else _format(day, "d MMM")


@lru_cache(maxsize=KEPT_NAMES)
def _format(day: date, pattern: str) -> str:
    return format_date(day, pattern, locale=formatting.LOCALE)
