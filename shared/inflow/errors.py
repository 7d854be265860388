"""Errors of a report's range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import FieldError, Invalid


@dataclass(eq=False)
class RangeReversed(Invalid):
    """The first day or month of a range is after the last."""

    code = "range_reversed"
    title = "The range ends before it begins"

    @property
    def errors(self) -> list[FieldError]:
        """The field to correct."""
        return [FieldError("from", "must not be after `to`")]


@dataclass(eq=False)
class RangeTooLong(Invalid):
    """A range has more than `limit` days or months."""

    limit: int
    unit: Literal["days", "months"]

    code = "range_too_long"
    title = "The range is too long"

    @property
    def detail(self) -> str:
        """The most that one report covers."""
        return f"Ask for at most {self.limit} {self.unit} at once."


@dataclass(eq=False)
class RangeOutOfReach(Invalid):
    """A range reaches out of the years `first_year` to `last_year`."""

    first_year: int
    last_year: int

    code = "range_out_of_reach"
    title = "There are no reports so far away"

    @property
    def detail(self) -> str:
        """The years that reports cover."""
        return f"Reports cover the years {self.first_year} to {self.last_year}."


@dataclass(eq=False)
class RangeNotBegun(Invalid):
    """Every day of a range is after today."""

    code = "range_not_begun"
    title = "The range has not begun"

    @property
    def errors(self) -> list[FieldError]:
        """The field to correct."""
        return [FieldError("from", "must not be after today")]
