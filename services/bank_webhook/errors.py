"""Why a delivery is not accepted.

Any caller may be told BankNotFound, SourceNotAllowed and BodyIncomplete; only an authentic bank is told the others.
"""

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
    """The connection broke before the whole body had arrived."""

    code = "body_incomplete"
    title = "The body did not arrive whole"


@dataclass(eq=False)
class UnknownToken(NotFound):
    """None of our on-ramps has this netbanking session. The bank returns the money to the person."""

    code = "unknown_token"
    title = "No payment was asked for under this token"


@dataclass(eq=False)
class UnknownReference(NotFound):
    """None of our withdrawals has this reference."""

    code = "unknown_reference"
    title = "No payout was asked for under this reference"


@dataclass(eq=False)
class AmountMismatch(Invalid):
    """The amount is not the one asked for. Nothing was credited; the bank returns the money to the person."""

    code = "amount_mismatch"
    title = "The amount is not the one that was asked for"


@dataclass(eq=False)
class UserMismatch(Invalid):
    """Another user asked for the payment. Nothing was credited."""

    code = "user_mismatch"
    title = "The payment was asked for by another user"


@dataclass(eq=False)
class NotCommitted(Unavailable):
    """The delivery was not committed in time. Nothing is lost: the bank delivers it again."""

    code = "not_committed"
    title = "The notice could not be kept right now; deliver it again"

    @property
    def retry_after_seconds(self) -> int:
        """A database that restarts is back after about this long."""
        return RETRY_AFTER_SECONDS
