"""Why a report is not drawn up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.errors import FieldError, Invalid


@dataclass(eq=False)
class RangeReversed(Invalid):
    """A range begins before it ends."""

    code = "range_reversed"
    title = "The range ends before it begins"

    @property
    def errors(self) -> list[FieldError]:
        """Where to look."""
        return [FieldError("from", "must not be after `to`")]


@dataclass(eq=False)
class RangeTooLong(Invalid):
    """One report covers at most `limit` days or months."""

    limit: int
    unit: Literal["days", "months"]

    code = "range_too_long"
    title = "The range is too long"

    @property
    def detail(self) -> str:
        """How much one may ask for."""
        return f"Ask for at most {self.limit} {self.unit} at once."


@dataclass(eq=False)
class RangeOutOfReach(Invalid):
    """Reports exist for the years `first_year` to `last_year`."""

    first_year: int
    last_year: int

    code = "range_out_of_reach"
    title = "There are no reports so far away"

    @property
    def detail(self) -> str:
        """Which years there are."""
        return f"Reports cover the years {self.first_year} to {self.last_year}."
