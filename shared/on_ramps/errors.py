"""Why money cannot be added, or not be shown."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import FieldError, Invalid, NotFound, TooMany


@dataclass(eq=False)
class OnRampNotFound(NotFound):
    """No such on-ramp, or somebody else's."""

    code = "on_ramp_not_found"
    title = "No such on-ramp"


@dataclass(eq=False)
class UnknownBank(Invalid):
    """We do not work with this bank. `bank` as it was asked for."""

    bank: str

    code = "unknown_bank"
    title = "We do not work with this bank"

    @property
    def errors(self) -> list[FieldError]:
        """The field, in the form of any refused body."""
        return [FieldError("bank", "is not a bank we work with")]


@dataclass(eq=False)
class TooManyOnRamps(TooMany):
    """The owner has `limit` payments open at their banks; each must come to its end before there are more."""

    limit: int
    retry_after: int

    code = "too_many_on_ramps"
    title = "Too many payments are open at your bank; approve or decline them there first"

    @property
    def retry_after_seconds(self) -> int:
        """Until the bank is asked about the first of them."""
        return max(1, self.retry_after)
