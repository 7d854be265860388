"""The words beside a shop's figures: fair about days that are not over and months that are shorter."""

from __future__ import annotations

from datetime import date

import pytest

from services.merchant_app.dashboard_figures import Comparison, figures_of
from shared.inflow.ranges import days, months
from shared.inflow.views import DailyInflow, Inflow, InflowSummary, MonthlyInflow, RecentInflow

ZONE = "Asia/Kolkata"


def _recent(today: date, *, of_today: int = 0, yesterday: int = 0, month: int = 0, last_month: int = 0) -> RecentInflow:
    summary = InflowSummary(ZONE, Inflow(of_today, 1), Inflow(yesterday, 1), Inflow(month, 1), Inflow())
    daily = DailyInflow(ZONE, [(day, Inflow()) for day in days(None, None, today=today)])
    monthly = MonthlyInflow(ZONE, [(each, Inflow()) for each in months(None, None, today=today)])
    return RecentInflow(today, summary, Inflow(last_month, 1), daily, monthly)


@pytest.mark.parametrize(
    ("today", "span"),
    [
        (date(2026, 11, 1), "1 October"),
        (date(2026, 11, 20), "1\u201320 October"),
        (date(2026, 3, 31), "1\u201328 February"),
        (date(2026, 1, 2), "1\u20132 December"),
    ],
)
def test_a_month_is_compared_with_as_many_days_of_the_last(today: date, span: str) -> None:
    figures = figures_of(_recent(today, month=150_00, last_month=100_00))
    assert figures.against_last_month == Comparison("up", f"50% above {span}")
    assert figures_of(_recent(today)).against_last_month == Comparison("same", f"{span}: nothing received")


@pytest.mark.parametrize(
    ("month", "change"),
    [
        (50_00, Comparison("down", "50% below 1\u201320 October")),
        (100_49, Comparison("same", "As much as 1\u201320 October")),
        (100_50, Comparison("up", "1% above 1\u201320 October")),
        (1_00_000_00, Comparison("up", "99,900% above 1\u201320 October")),
        (0, Comparison("down", "100% below 1\u201320 October")),
    ],
)
def test_changes_are_whole_per_cents(month: int, change: Comparison) -> None:
    recent = _recent(date(2026, 11, 20), month=month, last_month=100_00)
    assert figures_of(recent).against_last_month == change


def test_today_is_never_shown_as_behind_yesterday() -> None:
    assert figures_of(_recent(date(2026, 11, 20), yesterday=50_00)).against_yesterday.trend == "same"
    ahead = figures_of(_recent(date(2026, 11, 20), of_today=60_00, yesterday=50_00)).against_yesterday
    assert ahead == Comparison("up", "₹10.00 more than all of yesterday")


def test_every_seventh_day_is_labelled_and_today_among_them() -> None:
    labels = [day.label for day in figures_of(_recent(date(2026, 11, 20))).days]
    assert [label for label in labels if label] == ["23 Oct", "30 Oct", "6 Nov", "13 Nov", "20 Nov"]
    assert labels[-1] == "20 Nov"
    assert all(len(month.label) == 3 for month in figures_of(_recent(date(2026, 11, 20))).months)
