"""Money is integer paise with a currency. Code never uses floats for money."""

from __future__ import annotations

import re
from dataclasses import dataclass

INR = "INR"
PAISE_PER_RUPEE = 100
MAX_MOVEMENT_PAISE = 10_000_000_00
"""The largest amount of one movement: one crore rupees."""

_GROUPED_FROM = 3
_RUPEES = re.compile(r"(?P<sign>-?)(?P<rupees>\d{1,12})(?:\.(?P<paise>\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in paise. It may be negative (a difference); `movement` checks an amount that is to move."""

    paise: int
    currency: str = INR

    def __post_init__(self) -> None:
        if isinstance(self.paise, bool) or not isinstance(self.paise, int):
            raise TypeError(f"paise must be an int, not {type(self.paise).__name__}")

    @classmethod
    def movement(cls, paise: int, currency: str = INR) -> Money:
        """An amount that may move. Raises ValueError unless 1 <= paise <= MAX_MOVEMENT_PAISE."""
        if not 1 <= paise <= MAX_MOVEMENT_PAISE:
            raise ValueError(f"a movement is between 1 and {MAX_MOVEMENT_PAISE} paise, not {paise}")
        return cls(paise, currency)

    @classmethod
    def from_rupees(cls, text: str) -> Money:
        """Read `200.00` or `200`. Raises ValueError for anything else, such as exponents or three decimals."""
        found = _RUPEES.fullmatch(text)
        if found is None:
            raise ValueError(f"not an amount in rupees: {text!r}")
        paise = int(found["rupees"]) * PAISE_PER_RUPEE + int(found["paise"] or 0)
        return cls(-paise if found["sign"] else paise)

    def __add__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.paise + other.paise, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same_currency(other)
        return Money(self.paise - other.paise, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.paise, self.currency)

    def to_rupees(self) -> str:
        """Rupees for a wire format, with two decimals: `200.00`."""
        rupees, paise = divmod(abs(self.paise), PAISE_PER_RUPEE)
        return f"{'-' if self.paise < 0 else ''}{rupees}.{paise:02d}"

    def __str__(self) -> str:
        """Rupees as people in India write them: `₹1,23,456.78`."""
        rupees, paise = divmod(abs(self.paise), PAISE_PER_RUPEE)
        return f"{'-' if self.paise < 0 else ''}₹{grouped(rupees)}.{paise:02d}"

    def _same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added")


def grouped(count: int) -> str:
    """A number that is not negative with lakh grouping: `12,34,567`."""
    text = str(count)
    if len(text) <= _GROUPED_FROM:
        return text
    head, tail = text[:-3], text[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return ",".join([*groups, tail])
