"""The chart of steps in the documents is the one that bench/steps.json makes."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.chart import CHART, Step, draw, read_steps


def test_the_chart_is_up_to_date() -> None:
    assert CHART.read_text(encoding="utf-8") == draw(read_steps()), "run `make docs`"


def test_the_longest_bar_is_the_largest_figure_and_words_are_escaped() -> None:
    drawn = ElementTree.fromstring(draw([Step("before <all>", 20, 0.04), Step("after", 1, None)]))
    lengths = [float(bar.get("width", "")) for bar in drawn.iterfind(".//*[@class='bar']")]
    assert lengths == [340, 17]
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[2:] == ["before <all>", "20 ms · 0.04 of pgbench", "after", "1 ms"]
