"""The words beside a shop's figures: fair about days that are not over and months that are shorter."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.merchant_app.dashboard_figures import Comparison, ReportFigures, days_in_words, figures_of, report_figures
from shared.calendar import ONE_DAY
from shared.inflow.spans import Preset, Span, span_between, span_of
from shared.inflow.views import Inflow, InflowSummary, Overview, Refunds, Report, TopCustomers

ZONE = ZoneInfo("Asia/Kolkata")
TODAY = date(2026, 11, 20)
UNTIL = datetime(2026, 11, 19, 8, 37, tzinfo=UTC)
"""7 minutes past 2 in the afternoon, in India."""


def _overview(today: date, *, of_today: int = 0, by_now: int = 0, month: int = 0, last_month: int = 0) -> Overview:
    summary = InflowSummary(ZONE.key, Inflow(of_today, 1), Inflow(by_now + 1, 1), Inflow(month, 1), Inflow())
    return Overview(today, summary, Inflow(by_now, 1), UNTIL, Inflow(last_month, 1))


def _figures(span: Span, *, total: int = 0, earlier: int = 0, by_month: bool = False) -> ReportFigures:
    days = [span.first + offset * ONE_DAY for offset in range(span.days)]
    if by_month:
        days = [day for day in days if day.day == 1 or day == span.first]
    report = Report(
        timezone=ZONE.key,
        span=span,
        total=Inflow(total, 1),
        earlier=Inflow(earlier, 1),
        earlier_until=UNTIL,
        is_under_way=span.last == TODAY,
        is_by_month=by_month,
        steps=[(day, Inflow()) for day in days],
        hours=[Inflow(hour % 13, 1) for hour in range(24)],
        refunds=Refunds(),
        customers=TopCustomers([], 0),
    )
    return report_figures(report, today=TODAY, zone=ZONE)


@pytest.mark.parametrize(
    ("today", "span"),
    [
        (date(2026, 11, 1), "1 October"),
        (date(2026, 11, 20), "1\u201320 October"),
        (date(2026, 3, 31), "1\u201328 February"),
        (date(2026, 1, 2), "1\u20132 December 2025"),
    ],
)
def test_a_month_is_compared_with_as_many_days_of_the_last(today: date, span: str) -> None:
    figures = figures_of(_overview(today, month=150_00, last_month=100_00), ZONE)
    assert figures.against_last_month == Comparison("up", f"50% above {span}")
    assert figures_of(_overview(today), ZONE).against_last_month == Comparison("same", f"{span}: nothing received")


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
    overview = _overview(TODAY, month=month, last_month=100_00)
    assert figures_of(overview, ZONE).against_last_month == change


@pytest.mark.parametrize(
    ("of_today", "change"),
    [
        (60_00, Comparison("up", "₹10.00 more than yesterday by 2:07 pm")),
        (50_00, Comparison("same", "As much as yesterday by 2:07 pm")),
        (0, Comparison("down", "₹50.00 less than yesterday by 2:07 pm")),
    ],
)
def test_today_is_beside_yesterday_by_this_hour(of_today: int, change: Comparison) -> None:
    assert figures_of(_overview(TODAY, of_today=of_today, by_now=50_00), ZONE).against_yesterday == change


def test_a_range_under_way_is_beside_the_days_before_by_this_hour() -> None:
    figures = _figures(span_of("7-days", TODAY), total=150, earlier=100)
    assert (figures.days, figures.earlier) == ("14\u201320 Nov", "7\u201313 Nov by 2:07 pm")
    assert figures.against_earlier == Comparison("up", "50% more than before")
    over = _figures(span_between(date(2026, 11, 1), date(2026, 11, 1), today=TODAY), total=50, earlier=100)
    assert (over.earlier, over.against_earlier) == ("31 Oct", Comparison("down", "50% less than before"))
    assert _figures(span_of("today", TODAY)).against_earlier == Comparison("same", "Nothing to compare with")


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 11, 20), date(2026, 11, 20), "20 Nov"),
        (date(2026, 9, 22), date(2026, 10, 21), "22 Sep \u2013 21 Oct"),
        (date(2025, 12, 22), date(2026, 1, 20), "22 Dec 2025 \u2013 20 Jan"),
        (date(2025, 12, 1), date(2025, 12, 31), "1\u201331 Dec 2025"),
        (date(2024, 12, 30), date(2025, 1, 2), "30 Dec 2024 \u2013 2 Jan 2025"),
    ],
)
def test_dates_of_other_years_carry_the_year(first: date, last: date, words: str) -> None:
    # as babel has it: four letters for September
    assert days_in_words(first, last, today=TODAY).replace("Sept", "Sep") == words


@pytest.mark.parametrize("days", range(2, 63))
def test_a_few_days_are_labelled_and_the_last_among_them(days: int) -> None:
    labels = [day.label for day in _figures(span_between(TODAY - (days - 1) * ONE_DAY, TODAY, today=TODAY)).steps]
    assert labels[-1] == "20 Nov"
    assert 1 <= len([label for label in labels if label]) <= 3
    places = [place for place, label in enumerate(labels) if label]
    assert len({later - one for one, later in pairwise(places)}) <= 1


def test_parts_of_months_say_their_days() -> None:
    def names(span: Span) -> list[str]:
        return [step.name for step in _figures(span, by_month=True).steps]

    assert names(span_of("12-months", TODAY))[::11] == ["December 2025", "November"]
    chosen = span_between(date(2026, 5, 15), date(2026, 8, 10), today=TODAY)
    assert names(chosen) == ["15\u201331 May", "June", "July", "1\u201310 Aug"]
    labels = [step.label for step in _figures(span_of("12-months", TODAY), by_month=True).steps]
    assert [label for label in labels if label] == ["Jan", "Mar", "May", "Jul", "Sep", "Nov"]
    assert labels[-1] == "Nov"


def test_hours_are_named_on_the_dial_and_the_busiest_stands_out() -> None:
    figures = _figures(span_of("today", TODAY))
    names = [hour.name for hour in figures.hours]
    assert [names[hour] for hour in (0, 9, 11, 12, 23)] == [
        *("12\u20131 am", "9\u201310 am", "11 am \u2013 12 pm", "12\u20131 pm", "11 pm \u2013 12 am"),
    ]
    assert figures.busiest == figures.hours[12]
    assert [bar.is_marked for bar in figures.hour_chart.bars].index(True) == 12


@pytest.mark.parametrize(("preset", "is_marked"), [("30-days", True), ("last-month", False)])
def test_the_last_bar_stands_out_while_its_day_is_not_over(preset: Preset, is_marked: bool) -> None:
    bars = _figures(span_of(preset, TODAY)).step_chart.bars
    assert bars[-1].is_marked == is_marked
    assert not any(bar.is_marked for bar in bars[:-1])
