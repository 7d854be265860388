"""What the worker found out about the books and the stores, as Prometheus reads it.

A scrape asks no database: it shows the last answers, with ages as of now. An answer that is not renewed is no longer
shown, so that no one takes it for how things stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared import clock


@dataclass(frozen=True, slots=True)
class Figure:
    """A gauge: its name, what it tells, and its labels."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a figure; of an age, since when it grows (UTC)."""

    figure: Figure
    value: float | datetime
    labels: tuple[str, ...] = ()

    def at(self, now: datetime) -> float:
        """The value, or the age in seconds."""
        return (now - self.value).total_seconds() if isinstance(self.value, datetime) else self.value


@dataclass(frozen=True, slots=True)
class _Answer:
    readings: Sequence[Reading]
    shown_until: datetime


class Figures(Collector):
    """The latest readings of each question."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self._figures = figures
        self._answers: dict[str, _Answer] = {}

    def show(self, question: str, readings: Sequence[Reading], *, until: datetime) -> None:
        """Show these readings in place of the last ones of this question, until then (UTC)."""
        self._answers[question] = _Answer(readings, until)

    def describe(self) -> Iterable[Metric]:
        """Every figure, for a registry that asks which names are taken."""
        return [_family(figure) for figure in self._figures]

    def collect(self) -> Iterable[Metric]:
        """Every figure, with the readings that still hold."""
        now = clock.now()
        families = {figure: _family(figure) for figure in self._figures}
        for answer in list(self._answers.values()):  # a thread of its own serves them
            if now <= answer.shown_until:
                for reading in answer.readings:
                    families[reading.figure].add_metric(reading.labels, reading.at(now))
        return families.values()


def _family(figure: Figure) -> GaugeMetricFamily:
    return GaugeMetricFamily(figure.name, figure.meaning, labels=figure.labels)
