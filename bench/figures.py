"""What a bench finds: a figure, the reference of the same run, their ratio, and the goal that the ratio has."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio must be: at least, or at most, so much."""

    sense: Literal["at least", "at most"]
    value: float

    def is_met(self, ratio: float) -> bool:
        """Whether the ratio is on the right side; equal is enough."""
        return ratio >= self.value if self.sense == "at least" else ratio <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.sense == 'at least' else '≤'} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit and, for a reference, the name of what was measured."""

    value: float
    unit: str
    of: str = ""

    def __str__(self) -> str:
        digits = 0 if abs(self.value) >= 100 else 2 if abs(self.value) >= 1 else 3
        number = f"{self.value:,.{digits}f} {self.unit}".strip()
        return f"{number} ({self.of})" if self.of else number


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Without a reference the figure itself is held to the goal."""

    work: str
    figure: Quantity
    reference: Quantity | None
    goal: Goal
    by_cpu: float | None = None
    """Of a rate: the reference's CPU per piece of work by ours. With all cores busy it says the same as the ratio, and
    other programs on the machine disturb it less."""

    @property
    def ratio(self) -> float:
        """The figure by the reference; infinite when the reference is 0."""
        if self.reference is None:
            return self.figure.value
        return self.figure.value / self.reference.value if self.reference.value else float("inf")

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.goal.is_met(self.ratio)


def at_least(value: float) -> Goal:
    """The ratio must not be smaller."""
    return Goal("at least", value)


def at_most(value: float) -> Goal:
    """The ratio must not be larger."""
    return Goal("at most", value)


def median(values: Sequence[float]) -> float:
    """The median; 0 of nothing."""
    return statistics.median(values) if values else 0.0
