"""Bars: as high as what they stand for, under a round amount, with nothing a strict page would refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.merchant_app.charts import HEIGHT, Point, bar_chart, compact_rupees

PAISE = st.integers(min_value=0, max_value=10**15)


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "₹0"),
        (999_99, "₹999"),
        (1_000_00, "₹1K"),
        (2_500_00, "₹2.5K"),
        (99_999_99, "₹99.9K"),
        (1_00_000_00, "₹1L"),
        (1_00_00_000_00, "₹1Cr"),
        (2_50_00_00_000_00, "₹250Cr"),
    ],
)
def test_an_axis_is_labelled_in_thousands_lakhs_and_crores(paise: int, words: str) -> None:
    assert compact_rupees(paise) == words


@given(st.lists(PAISE, max_size=60))
def test_every_bar_fits_the_chart_and_stands_on_its_foot(amounts: list[int]) -> None:
    chart = bar_chart([Point(amount, "a day", "1 Nov") for amount in amounts])
    assert len(chart.bars) == len(amounts)
    for bar in chart.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= 100.01
        assert 0 < bar.y <= chart.base < HEIGHT
        assert bar.y + bar.height == pytest.approx(chart.base, abs=0.11)
        assert (bar.height > 0) == (bar.point.amount > 0)
        assert 0 <= bar.label_x <= 100


@given(PAISE, PAISE)
def test_a_larger_amount_never_has_a_lower_bar(one: int, other: int) -> None:
    first, second = bar_chart([Point(one, ""), Point(other, "")]).bars
    assert (first.height > second.height) <= (one > other)


def test_a_bar_of_the_amount_on_a_line_touches_the_line() -> None:
    chart = bar_chart([Point(500_00, ""), Point(1000_00, "")])
    assert [line.label for line in chart.lines] == ["₹500", "₹1K"]
    assert [bar.y for bar in chart.bars] == [line.y for line in chart.lines]
