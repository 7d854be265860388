"""Lines of a statement with what was refunded of each. Amounts in paise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from shared.ledger.statement import Line
from shared.transfers.queries import refunded_amounts


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line, and how much of it was refunded: only a payment that the account received can be."""

    line: Line
    refunded: int

    @property
    def refundable(self) -> int | None:
        """What can still be refunded; None unless the line is a payment received."""
        return self.line.amount - self.refunded if _is_received_payment(self.line) else None


async def with_refunds(session: AsyncSession, lines: Sequence[Line]) -> list[StatementLine]:
    """The lines in their order, each with what was refunded of it. One query, none without a received payment."""
    refunded = await refunded_amounts(session, [line.transfer_id for line in lines if _is_received_payment(line)])
    return [StatementLine(line, refunded.get(line.transfer_id, 0)) for line in lines]


def _is_received_payment(line: Line) -> bool:
    return line.kind == "payment" and line.direction == "CREDIT"
