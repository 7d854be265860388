"""The sums of an exported statement."""

from __future__ import annotations

from dataclasses import dataclass

from shared.ledger.statement import Line


@dataclass(slots=True)
class Totals:
    """What came in and what went out, in paise."""

    money_in: int = 0
    money_out: int = 0

    def count(self, line: Line) -> None:
        """Add one line."""
        if line.direction == "CREDIT":
            self.money_in += line.amount
        else:
            self.money_out += line.amount
