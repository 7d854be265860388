"""What may be learnt about a payout: from the bank, from a call that failed, or from our own clock.

A conclusion ends a withdrawal. After anything else it goes on, as `states` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Paid:
    """The bank paid it out."""

    utr: str | None


@dataclass(frozen=True, slots=True)
class PayoutRefused:
    """The bank refused the payout for good: it will never pay it out."""

    reason: str


@dataclass(frozen=True, slots=True)
class PayoutReversed:
    """The bank paid it out, and the money came back."""

    utr: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class WrongAmount:
    """The bank has another amount (paise) under our reference."""

    amount: int


@dataclass(frozen=True, slots=True)
class InProgress:
    """The bank has it and will say later what became of it."""


@dataclass(frozen=True, slots=True)
class NotDone:
    """The send certainly did not reach the bank. `is_about_bank` is false when we did not even try."""

    reason: str
    is_about_bank: bool = True


@dataclass(frozen=True, slots=True)
class MayBeDone:
    """The send may have reached the bank."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotFoundAtBank:
    """The bank answered an enquiry: it knows nothing of this payout."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """An enquiry got no answer that says anything."""

    reason: str


@dataclass(frozen=True, slots=True)
class CircuitOpen:
    """The bank's circuit is open: no call goes out before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class NotCovered:
    """Our own books do not cover what was about to be sent."""


@dataclass(frozen=True, slots=True)
class LeaseExpired:
    """The worker that held the lease is gone, perhaps in the middle of a send."""


Conclusion = Paid | PayoutRefused | PayoutReversed
Uncertainty = (
    WrongAmount | InProgress | NotDone | MayBeDone | NotFoundAtBank | NoAnswer | CircuitOpen | NotCovered | LeaseExpired
)
Fact = Conclusion | Uncertainty
