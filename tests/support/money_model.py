"""What must become of instructions, said by sums alone: it does not use the ledger's rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from shared.ledger.rules import CaptureHold, Command, PlaceHold, ReleaseHold, Transfer

PEOPLE = 4
"""The first is a shop."""
START_PAISE = 500


@dataclass(slots=True)
class Sums:
    """What the model knows of an account."""

    balance: int = START_PAISE
    held: int = 0
    entries: int = 1

    @property
    def available(self) -> int:
        """What may be spent."""
        return self.balance - self.held

    def move(self, amount: int) -> None:
        """One entry."""
        self.balance += amount
        self.entries += 1


@dataclass(frozen=True, slots=True)
class Asked:
    """An instruction that waits for its batch, under the key of a person or none."""

    command: Command
    owner: int
    key: int | None
    body: str


@dataclass
class Model:
    """The accounts by their place, and what is known of holds, payments to the shop and keys."""

    sums: list[Sums] = field(default_factory=lambda: [Sums() for _ in range(PEOPLE)])
    holds: dict[UUID, tuple[int, int, bool]] = field(default_factory=dict)
    payments: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    keys: dict[tuple[int, int], str] = field(default_factory=dict)

    def post(self, asked: Asked, places: dict[UUID, int]) -> Literal["posted", "replayed", "rejected"]:
        """Do it as it should be done."""
        known = None if asked.key is None else self.keys.get((asked.owner, asked.key))
        if known is not None:
            return "replayed" if known == asked.body else "rejected"
        if not self._accepts(asked.command, places):
            return "rejected"
        if asked.key is not None:
            self.keys[asked.owner, asked.key] = asked.body
        return "posted"

    def _accepts(self, command: Command, places: dict[UUID, int]) -> bool:
        match command:
            case Transfer():
                return self._moves(command, places)
            case PlaceHold():
                sums = self.sums[places[command.account_id]]
                if command.hold_id in self.holds or sums.available < command.amount:
                    return False
                sums.held += command.amount
                self.holds[command.hold_id] = (places[command.account_id], command.amount, True)
                return True
            case CaptureHold():
                return self._ends(command.hold_id, command.transfer.debit_account_id, places, command.transfer)
            case ReleaseHold():
                return self._ends(command.hold_id, command.account_id, places, None)

    def _moves(self, transfer: Transfer, places: dict[UUID, int]) -> bool:
        debited, credited = places[transfer.debit_account_id], places[transfer.credit_account_id]
        if debited == credited or self.sums[debited].available < transfer.amount:
            return False
        if transfer.reverses is not None:
            buyer, left = self.payments.get(transfer.reverses, (None, 0))
            if (debited, credited) != (0, buyer) or left < transfer.amount:
                return False
            self.payments[transfer.reverses] = (credited, left - transfer.amount)
        elif credited == 0:
            self.payments[transfer.id] = (debited, transfer.amount)
        self.sums[debited].move(-transfer.amount)
        self.sums[credited].move(transfer.amount)
        return True

    def _ends(self, hold_id: UUID, account_id: UUID, places: dict[UUID, int], transfer: Transfer | None) -> bool:
        place, amount, is_active = self.holds.get(hold_id, (None, 0, False))
        if place is None or place != places[account_id] or not is_active:
            return False
        if transfer is not None and (transfer.amount != amount or places[transfer.credit_account_id] == place):
            return False
        self.holds[hold_id] = (place, amount, False)
        self.sums[place].held -= amount
        return transfer is None or self._moves(transfer, places)
