"""Why an on-ramp cannot be started or shown."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, FieldError, Invalid, NotFound, TooMany


@dataclass(eq=False)
class OnRampNotFound(NotFound):
    """There is no such on-ramp, or it is another owner's."""

    code = "on_ramp_not_found"
    title = "No such on-ramp"


@dataclass(eq=False)
class UnknownBank(Invalid):
    """We do not work with this bank. `bank` is what the caller sent."""

    bank: str

    code = "unknown_bank"
    title = "We do not work with this bank"

    @property
    def errors(self) -> list[FieldError]:
        """The field, as in every rejected body."""
        return [FieldError("bank", "is not a bank we work with")]


@dataclass(eq=False)
class AlreadyDecided(Conflict):
    """It has ended otherwise, so it cannot be cancelled. `status` is its status now."""

    status: str

    code = "already_decided"
    title = "This payment was decided at the bank and cannot be cancelled any more"


@dataclass(eq=False)
class TooManyOnRamps(TooMany):
    """The owner has `limit` pending on-ramps; one of them has to end first."""

    limit: int
    retry_after: int

    code = "too_many_on_ramps"
    title = "Too many payments are open at your bank; approve or decline them there, or cancel them, first"

    @property
    def retry_after_seconds(self) -> int:
        """Until the bank is asked about the first of them."""
        return max(1, self.retry_after)
