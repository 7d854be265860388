"""What a shop's dashboard says of its inflow: this period against the one before, the last days and months as charts.

Pure: words and bars for what `shared.inflow` has read. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from babel.dates import format_date

from services.merchant_app.charts import BarChart, Point, bar_chart
from shared.calendar import Month
from shared.inflow.queries import Overview, Taken
from shared.pages import formatting

_DAYS_PER_LABEL = 7
_LETTERS_OF_A_MONTH = 3
_PER_CENT = 100
_EN_DASH = "\u2013"


@dataclass(frozen=True, slots=True)
class Change:
    """One period beside another, in words."""

    trend: Literal["up", "down", "same"]
    words: str


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month: a row of the table, a bar of the chart. `label` is for the axis, empty where it has no room."""

    name: str
    label: str
    taken: Taken


@dataclass(frozen=True, slots=True)
class Takings:
    """The dashboard's figures. Days and months come oldest first and end with the present one."""

    today: Taken
    this_month: Taken
    against_yesterday: Change
    against_last_month: Change
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


def takings_of(overview: Overview) -> Takings:
    """The figures, put in words."""
    summary = overview.summary
    count = len(overview.daily.items)
    return Takings(
        today=summary.today,
        this_month=summary.this_month,
        against_yesterday=_against_yesterday(summary.today.amount, summary.yesterday.amount),
        against_last_month=_against_last_month(overview),
        days=[
            Period(_format(day, "EEE, d MMM"), _label(day, count - 1 - index), taken)
            for index, (day, taken) in enumerate(overview.daily.items)
        ],
        months=[
            Period(_format(month.first_day, "MMMM y"), _format(month.first_day, "MMM")[:_LETTERS_OF_A_MONTH], taken)
            for month, taken in overview.monthly.items
        ],
    )


def _against_yesterday(today: int, yesterday: int) -> Change:
    """Today is not over, so it can only be ahead of the whole of yesterday, never behind."""
    if not yesterday:
        return Change("same", "Nothing came in yesterday")
    if today > yesterday:
        return Change("up", f"{formatting.rupees(today - yesterday)} more than all of yesterday")
    return Change("same", f"Yesterday {formatting.rupees(yesterday)} in all")


def _against_last_month(overview: Overview) -> Change:
    """This month beside as many days of the last."""
    span = _days_so_far(overview.today)
    present, before = overview.summary.this_month.amount, overview.last_month_so_far.amount
    if not before:
        return Change("same", f"{span}: nothing came in")
    per_cent = (abs(present - before) * _PER_CENT + before // 2) // before
    if not per_cent:
        return Change("same", f"As much as {span}")
    more = present > before
    return Change("up" if more else "down", f"{formatting.number(per_cent)}% {'above' if more else 'below'} {span}")


def _days_so_far(today: date) -> str:
    this_month = Month.of(today)
    last_month = this_month.plus(-1).first_day
    last_day = min(today.day, (this_month.first_day - last_month).days)
    days = "1" if last_day == 1 else f"1{_EN_DASH}{last_day}"
    return f"{days} {_format(last_month, 'MMMM')}"


def _chart(periods: Sequence[Period]) -> BarChart:
    return bar_chart(
        [
            Point(each.taken.amount, f"{each.name}: {formatting.rupees(each.taken.amount)}", each.label)
            for each in periods
        ]
    )


def _label(day: date, days_ago: int) -> str:
    return "" if days_ago % _DAYS_PER_LABEL else _format(day, "d MMM")


def _format(day: date, pattern: str) -> str:
    return format_date(day, pattern, locale=formatting.LOCALE)
