"""Why money cannot be added, or not be shown."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import FieldError, Invalid, NotFound


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
