"""What the sample history consists of: movements of money, and the moments at which they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Literal

from infra.seed.cast import Person, Pot, Shop
from shared.calendar import INDIA

PAISE = 100
Kind = Literal["onramp", "p2p", "payment", "refund", "payout", "payout_reversal"]


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """Paise from one to another, or from and to a bank: then the side that is None is the bank, and `bank` its code.

    `reverses`: the payment that a refund gives back, or the payout that came back. `is_refused`: the person declined
    the on-ramp, or the bank refused the payout, so nothing moves.
    """

    kind: Kind
    payer: Person | Shop | Pot | None
    payee: Person | Shop | Pot | None
    amount: int
    note: str | None = None
    reverses: Movement | None = None
    bank: str = ""
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """What happens at once: friends who have tea together pay together. A bank's movement has a moment of its own."""

    at: datetime
    movements: Sequence[Movement]


@dataclass(frozen=True, slots=True)
class Plan:
    """When all sign up, and what they do afterwards, oldest first. Times in UTC."""

    opened_at: datetime
    moments: list[Moment] = field(default_factory=list)

    @property
    def movements(self) -> int:
        """How many there are in all."""
        return sum(len(moment.movements) for moment in self.moments)


def moment_of(day: date, at: time) -> datetime:
    """This time of an Indian day, in UTC."""
    return datetime.combine(day, at, tzinfo=INDIA).astimezone(UTC)
