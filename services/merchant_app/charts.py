"""Bar charts as SVG. Widths are per cent and heights pixels, so that a chart fits a phone and its text stays readable.

A chart contains neither style nor script: the stylesheet colours it, for both themes and for paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.money import PAISE_PER_RUPEE
from shared.pages.formatting import number

HEIGHT = 196
_TOP, _BASE = 22, 168
"""The highest grid line and the foot of the bars, in pixels from the upper edge."""
_GUTTER = 11
"""Per cent of the width, left of the bars, for the labels of the grid lines."""
_SHARE_OF_SLOT = 0.68
_LEAST_HEIGHT = 2
"""Pixels of a bar whose amount is not zero."""
_GRID_LINES = 2
_WIDTH_OF_A_LABEL = 7
"""Per cent of a phone's width."""
_CRORE, _LAKH, _THOUSAND = 10_000_000, 100_000, 1_000


@dataclass(frozen=True, slots=True)
class Point:
    """The content of one bar; `amount` is paise. `label` is short, and empty where it has no room."""

    amount: int
    title: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `x` and `width` in per cent of the chart's width, `y` and `height` in pixels; the place of its label.

    A marked bar stands out.
    """

    point: Point
    x: float
    width: float
    y: float
    height: float
    label_x: float
    anchor: Literal["start", "middle", "end"]
    is_marked: bool


@dataclass(frozen=True, slots=True)
class GridLine:
    """A line across the chart, labelled with its amount."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars, oldest first, and the lines behind them."""

    bars: Sequence[Bar]
    lines: Sequence[GridLine]
    height: int = HEIGHT
    base: int = _BASE


def bar_chart(points: Sequence[Point], marked: int | None = None) -> BarChart:
    """The chart of these points, from zero up to a round amount. `marked` is the place of the bar that stands out."""
    top = _round_up(max((point.amount for point in points), default=0))
    slot = (100 - _GUTTER) / max(len(points), 1)
    bars = [_bar(point, index, slot, top, is_marked=index == marked) for index, point in enumerate(points)]
    steps = [(step, _BASE - (_BASE - _TOP) * step / _GRID_LINES) for step in range(1, _GRID_LINES + 1)]
    return BarChart(bars, [GridLine(y, compact_rupees(top * step // _GRID_LINES)) for step, y in steps])


def compact_rupees(paise: int) -> str:
    """An amount for an axis: `₹500`, `₹2.5K`, `₹10L`, `₹1Cr`, rounded down to one decimal."""
    rupees = paise // PAISE_PER_RUPEE
    for unit, letter in ((_CRORE, "Cr"), (_LAKH, "L"), (_THOUSAND, "K")):
        if rupees >= unit:
            tenths = rupees * 10 // unit
            return f"₹{number(tenths // 10)}{f'.{tenths % 10}' if tenths % 10 else ''}{letter}"
    return f"₹{rupees}"


def _bar(point: Point, index: int, slot: float, top: int, *, is_marked: bool) -> Bar:
    height = round((_BASE - _TOP) * point.amount / top, 1)
    if point.amount:
        height = max(height, _LEAST_HEIGHT)
    width = slot * _SHARE_OF_SLOT
    x = _GUTTER + slot * index + (slot - width) / 2
    label_x, anchor = _label_place(x, width, slot)
    return Bar(point, round(x, 2), round(width, 2), round(_BASE - height, 1), height, label_x, anchor, is_marked)


def _label_place(x: float, width: float, slot: float) -> tuple[float, Literal["start", "middle", "end"]]:
    """Place and anchor of a label: below the middle of its bar, but inside the chart at the ends of thin bars."""
    is_thin = slot < _WIDTH_OF_A_LABEL
    if is_thin and x < _GUTTER + slot:
        return round(x, 2), "start"
    if is_thin and x > 100 - slot:
        return 100, "end"
    return round(x + width / 2, 2), "middle"


def _round_up(paise: int) -> int:
    """The next of ₹10, 20, 40, 50, 100, 200, ...; half of each is round too."""
    unit = 10 * PAISE_PER_RUPEE
    while True:
        for step in (1, 2, 4, 5):
            if paise <= step * unit:
                return step * unit
        unit *= 10
