"""Which lines of a bank our book lacks.

They are read for all references at once, and anew, under locks, for one that is about to be settled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.messages import StatementItem
from shared.models import Withdrawal
from shared.reconciliation import findings
from shared.reconciliation.bank_book import our_id, our_lines, our_lines_of, under_way
from shared.reconciliation.comparison import GIVEN_BACK, Difference, OurLine, compare
from shared.withdrawals import rows


@dataclass(frozen=True, slots=True)
class Lacking:
    """One reference of a bank of which our book lacks a line, or has one with another amount."""

    bank: str
    reference: str
    since: datetime
    """From then on, lines are settled."""
    read_from: datetime
    """From then on, lines of both books are compared."""
    items: Sequence[StatementItem]
    """All that the bank has under it."""
    ours: Sequence[OurLine]
    lines: Sequence[Difference]

    @property
    def our_id(self) -> UUID | None:
        """Of the on-ramp or withdrawal. None: it is no reference of ours."""
        return our_id(self.reference)


@dataclass(frozen=True, slots=True)
class Read:
    """What one bank's statement has and we lack, by reference; and how many lines are under way."""

    lacking: dict[str, Lacking]
    under_way: int


@dataclass(frozen=True, slots=True)
class Books:
    """Both books of one reference, as they are in this transaction. No other run changes them until it ends."""

    withdrawal: Withdrawal | None
    has_debit: bool
    """Whether our book has money that left under it, from an owner or from suspense, however long ago."""
    lines: Sequence[Difference]
    """What our book lacks."""
    unexplained: Sequence[Difference]
    """The same without what a withdrawal in the queue explains: the worker asks the bank before it sends it."""

    @property
    def missing(self) -> list[Difference]:
        """Money that left, of which our book has nothing and no worker will ask."""
        return [line for line in self.unexplained if line.kind == "missing_here"]

    @property
    def asked_later(self) -> list[Difference]:
        """What the worker asks about."""
        left = list(self.lines)
        for line in self.unexplained:
            left.remove(line)
        return left

    @property
    def differs(self) -> Difference | None:
        """A line that both books have, with other amounts: it is not known which line of the bank is which of ours."""
        return next((line for line in self.lines if line.kind == "amount_differs"), None)

    @property
    def is_parked(self) -> bool:
        """Whether what left is booked, and not as a withdrawal."""
        return self.has_debit and (self.withdrawal is None or self.withdrawal.transfer_id is None)


async def read(
    session: AsyncSession,
    bank: str,
    items: Sequence[StatementItem],
    *,
    since: datetime,
    read_from: datetime,
    in_queue: bool,
) -> Read:
    """Compare the bank's lines with ours, from `read_from` on. With `in_queue`, the worker asks about the queue."""
    ours = await our_lines(session, bank, since=read_from)
    compared = compare(
        items,
        [line for line in ours if not line.is_parked],
        expected=await under_way(session, bank, in_queue=in_queue),
    )
    lines: dict[str, list[Difference]] = defaultdict(list)
    for difference in sorted(compared.differences, key=lambda found: found.at):
        if difference.bank_amount is not None and difference.at >= since:
            lines[difference.reference].append(difference)
    their_lines: dict[str, list[StatementItem]] = defaultdict(list)
    for item in items:
        their_lines[item.reference].append(item)
    own_lines: dict[str, list[OurLine]] = defaultdict(list)
    for own in ours:
        own_lines[own.reference].append(own)
    lacking = {
        name: Lacking(bank, name, since, read_from, their_lines[name], own_lines[name], found)
        for name, found in lines.items()
    }
    return Read(lacking, sum(line.reason != GIVEN_BACK for line in compared.explained))


async def read_anew(session: AsyncSession, lacking: Lacking) -> Books:
    """What our book has of this reference by now, compared with what the bank has.

    Until the transaction ends, no other run books a line of the bank, and neither a worker nor a notice ends the
    withdrawal: a line is either in our book by now, or nothing but the caller books it.
    """
    await findings.lock(session, lacking.bank)
    named = lacking.our_id
    withdrawal = None if named is None else await rows.lock(session, named)
    of_payments = await our_lines_of(session, lacking.bank, lacking.reference)
    # What was booked by hand, by another way than suspense, has no index. It stays, as all that is booked does.
    seen = {line.transfer_id for line in of_payments}
    ours = of_payments + [line for line in lacking.ours if line.transfer_id not in seen]
    return Books(
        withdrawal,
        has_debit=any(line.direction == "DEBIT" for line in ours),
        lines=await _lines(session, lacking, ours, in_queue=False),
        unexplained=await _lines(session, lacking, ours, in_queue=True),
    )


async def _lines(
    session: AsyncSession, lacking: Lacking, ours: Sequence[OurLine], *, in_queue: bool
) -> list[Difference]:
    compared = compare(
        lacking.items,
        [line for line in ours if not line.is_parked and line.at >= lacking.read_from],
        expected=await under_way(session, lacking.bank, in_queue=in_queue, reference=lacking.reference),
    )
    return [
        line
        for line in sorted(compared.differences, key=lambda found: found.at)
        if line.kind == "amount_differs" or (line.bank_amount is not None and line.at >= lacking.since)
    ]
