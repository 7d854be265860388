"""Compare a bank's statement with our book of the same account, line by line. Pure: no database, no clock.

Lines are compared per reference. Both books are written from our side: CREDIT is money that came to us at the bank.
A line that only one book has is a difference, unless a running payment explains it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

Direction = Literal["CREDIT", "DEBIT"]
DifferenceKind = Literal["missing_at_bank", "missing_here", "amount_differs", "unmatched_credit"]

GIVEN_BACK = "the bank gave the money back"
TOO_RECENT = "too recent for the other book to have it"
PARKED = "parked in suspense, and booked where it belongs since"


class BankLine(Protocol):
    """The fields of a statement line that the comparison uses."""

    @property
    def at(self) -> datetime:
        """When the bank booked it (UTC)."""

    @property
    def direction(self) -> Direction:
        """CREDIT is money that came in to us."""

    @property
    def amount(self) -> int:
        """Paise."""

    @property
    def reference(self) -> str:
        """The id of our on-ramp or withdrawal, as the bank wrote it."""


@dataclass(frozen=True, slots=True)
class OurLine:
    """One entry of our settlement account, written as the bank should have it."""

    reference: str
    direction: Direction
    amount: int
    at: datetime
    transfer_id: UUID
    is_parked: bool = False
    """Whether it is an `adjustment` that parks an unmatched credit in suspense under the bank's reference."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A line that the bank may book before we do; `reason` says which running payment explains it.

    `follows_its_opposite`: only together with a line of the same amount in the other direction (a reversed payout).
    """

    reference: str
    direction: Direction
    amount: int
    reason: str
    follows_its_opposite: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A line of one book without its counterpart. Amounts are paise; None where a book has no line."""

    kind: DifferenceKind
    reference: str
    direction: Direction
    our_amount: int | None
    bank_amount: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Explained:
    """A line that only one book has and that is no difference; `reason` says why.

    `surplus` is the paise by which it makes the bank's balance exceed ours.
    """

    reference: str
    direction: Direction
    amount: int
    surplus: int
    reason: str


@dataclass(slots=True)
class Comparison:
    """The result. The books agree when there are no differences."""

    differences: list[Difference] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    matched: int = 0


def compare(
    bank_lines: Iterable[BankLine],
    our_lines: Iterable[OurLine],
    *,
    expected: Iterable[Expected] = (),
    bank_cut: datetime | None = None,
    our_cut: datetime | None = None,
) -> Comparison:
    """Match the lines of each reference by direction and amount. A line without a match is explained or a difference.

    A line newer than the cut of its book is explained: the other book may not have it yet.
    """
    references: dict[str, _Reference] = defaultdict(_Reference)
    for line in bank_lines:
        references[line.reference].bank.append(line)
    for own in our_lines:
        references[own.reference].ours.append(own)
    for hint in expected:
        references[hint.reference].expected.append(hint)
    outcome = Comparison()
    for name in sorted(references):
        references[name].compare_into(outcome, bank_cut, our_cut)
    return outcome


def signed(line: BankLine | OurLine) -> int:
    """What the line adds to our money at the bank, in paise."""
    return line.amount if line.direction == "CREDIT" else -line.amount


@dataclass(slots=True)
class _Reference:
    """The lines of both books under one reference."""

    bank: list[BankLine] = field(default_factory=list)
    ours: list[OurLine] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)

    def compare_into(self, outcome: Comparison, bank_cut: datetime | None, our_cut: datetime | None) -> None:
        matched, bank, ours = self._match()
        outcome.matched += len(matched)
        bank = self._without_given_back(bank, outcome)
        bank = self._without_expected(bank, outcome)
        ours = self._without_parked(matched, ours, outcome)
        outcome.explained += [_explained(line, signed(line), TOO_RECENT) for line in bank if _is_after(line, bank_cut)]
        outcome.explained += [_explained(line, -signed(line), TOO_RECENT) for line in ours if _is_after(line, our_cut)]
        bank = [line for line in bank if not _is_after(line, bank_cut)]
        ours = [line for line in ours if not _is_after(line, our_cut)]
        outcome.differences += _differences(bank, ours)

    def _match(self) -> tuple[list[OurLine], list[BankLine], list[OurLine]]:
        # Match entries of payments first, parked entries last: a parked copy is the one to take back.
        waiting = sorted(self.ours, key=lambda line: line.is_parked)
        matched: list[OurLine] = []
        left: list[BankLine] = []
        for line in self.bank:
            partner = next((own for own in waiting if _is_same_movement(own, line)), None)
            if partner is None:
                left.append(line)
            else:
                waiting.remove(partner)
                matched.append(partner)
        return matched, left, waiting

    def _without_given_back(self, bank: Sequence[BankLine], outcome: Comparison) -> list[BankLine]:
        """Take out each credit that the bank itself took back later, of which we know nothing.

        Only of payments to us: where the first line is a payout, every later one must be known here.
        """
        if not self.bank or self.bank[0].direction == "DEBIT":
            return list(bank)
        left: list[BankLine] = []
        for line in bank:
            credit = next(
                (early for early in left if early.direction == "CREDIT" and early.amount == line.amount), None
            )
            if line.direction == "DEBIT" and credit is not None:
                left.remove(credit)
                outcome.explained += [_explained(pair, signed(pair), GIVEN_BACK) for pair in (credit, line)]
            else:
                left.append(line)
        return left

    def _without_expected(self, bank: Sequence[BankLine], outcome: Comparison) -> list[BankLine]:
        hints = list(self.expected)
        left: list[BankLine] = []
        for line in bank:
            hint = next((hint for hint in hints if _is_same_movement(hint, line) and self._holds(hint)), None)
            if hint is None:
                left.append(line)
            else:
                hints.remove(hint)
                outcome.explained.append(_explained(line, signed(line), hint.reason))
        return left

    def _holds(self, hint: Expected) -> bool:
        return not hint.follows_its_opposite or any(
            line.direction != hint.direction and line.amount == hint.amount for line in self.bank
        )

    def _without_parked(
        self, matched: Sequence[OurLine], ours: Sequence[OurLine], outcome: Comparison
    ) -> list[OurLine]:
        settled = [line for line in matched if not line.is_parked]
        left: list[OurLine] = []
        for line in ours:
            twin = next((own for own in settled if line.is_parked and _is_same_movement(own, line)), None)
            if twin is None:
                left.append(line)
            else:
                settled.remove(twin)
                outcome.explained.append(_explained(line, -signed(line), PARKED))
        return left


def _is_same_movement(one: OurLine | Expected, other: BankLine | OurLine) -> bool:
    return one.direction == other.direction and one.amount == other.amount


def _is_after(line: BankLine | OurLine, cut: datetime | None) -> bool:
    return cut is not None and line.at > cut


def _explained(line: BankLine | OurLine, surplus: int, reason: str) -> Explained:
    return Explained(line.reference, line.direction, line.amount, surplus, reason)


def _differences(bank: Sequence[BankLine], ours: Sequence[OurLine]) -> list[Difference]:
    found: list[Difference] = []
    directions: tuple[Direction, ...] = ("CREDIT", "DEBIT")
    for direction in directions:
        theirs = [line for line in bank if line.direction == direction]
        own = [line for line in ours if line.direction == direction]
        paired = min(len(theirs), len(own))
        for there, here in zip(theirs[:paired], own[:paired], strict=True):
            found.append(_difference("amount_differs", here, here.amount, there.amount))
        unknown: DifferenceKind = "unmatched_credit" if direction == "CREDIT" else "missing_here"
        found += [_difference(unknown, line, None, line.amount) for line in theirs[paired:]]
        found += [_difference("missing_at_bank", line, line.amount, None) for line in own[paired:]]
    return found


def _difference(
    kind: DifferenceKind, line: BankLine | OurLine, our_amount: int | None, bank_amount: int | None
) -> Difference:
    return Difference(kind, line.reference, line.direction, our_amount, bank_amount, line.at)
