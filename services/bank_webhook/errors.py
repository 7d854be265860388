"""Why a delivery is not accepted. The first group is said to anybody, the second only to an authentic bank."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Forbidden, Invalid, Malformed, NotFound, Unavailable

RETRY_AFTER_SECONDS = 2


@dataclass(eq=False)
class BankNotFound(NotFound):
    """No bank of this name calls here."""

    code = "bank_not_found"
    title = "No bank of this name calls here"


@dataclass(eq=False)
class SourceNotAllowed(Forbidden):
    """The call does not come from the bank's networks."""

    code = "source_not_allowed"
    title = "Calls from this address are not accepted"


@dataclass(eq=False)
class BodyIncomplete(Malformed):
    """The connection broke before the body was whole."""

    code = "body_incomplete"
    title = "The body did not arrive whole"


@dataclass(eq=False)
class UnknownToken(NotFound):
    """No on-ramp of ours has this session: the bank gives the money back."""

    code = "unknown_token"
    title = "No payment was asked for under this token"


@dataclass(eq=False)
class UnknownReference(NotFound):
    """No withdrawal of ours has this reference."""

    code = "unknown_reference"
    title = "No payout was asked for under this reference"


@dataclass(eq=False)
class AmountMismatch(Invalid):
    """The amount is not the one asked for: nothing was credited, the bank gives the money back."""

    code = "amount_mismatch"
    title = "The amount is not the one that was asked for"


@dataclass(eq=False)
class UserMismatch(Invalid):
    """The payment was asked for by somebody else: nothing was credited."""

    code = "user_mismatch"
    title = "The payment was asked for by another user"


@dataclass(eq=False)
class NotCommitted(Unavailable):
    """The delivery could not be committed in time; nothing is lost, the same delivery is welcome again."""

    code = "not_committed"
    title = "The notice could not be kept right now; deliver it again"

    @property
    def retry_after_seconds(self) -> int:
        """A database that restarts is back about then."""
        return RETRY_AFTER_SECONDS
