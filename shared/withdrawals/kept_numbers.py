"""How a row of withdrawals keeps its account number: encrypted for this row, indexed, and masked for everyone to see.

The version before this one wrote whole numbers. Until the backfill has gone over them, both kinds of rows are read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from shared.banks.account_numbers import is_account_number, masked
from shared.banks.number_keys import NumberKeys, NumberUnreadable
from shared.models import Withdrawal

NUMBER_COLUMNS = "id, owner_id, bank, ifsc, account_number, account_number_encrypted"
"""What a statement selects for a KeptNumber."""


@dataclass(frozen=True, slots=True)
class KeptNumber:
    """The number as a row has it, with what it is bound to: copied into another row, it cannot be read."""

    withdrawal_id: UUID
    owner_id: UUID
    bank: str
    ifsc: str
    written: str = field(repr=False)
    """Masked, or whole where nothing is encrypted."""
    encrypted: str | None

    @classmethod
    def of(cls, withdrawal: Withdrawal) -> KeptNumber:
        """The number of this row."""
        return cls(
            withdrawal.id,
            withdrawal.owner_id,
            withdrawal.bank,
            withdrawal.ifsc,
            withdrawal.account_number,
            withdrawal.account_number_encrypted,
        )

    @property
    def place(self) -> bytes:
        """Which row this is, and where its money goes."""
        parts = ("withdrawals.account_number", str(self.withdrawal_id), str(self.owner_id), self.bank, self.ifsc)
        return "|".join(parts).encode()

    def whole(self, keys: NumberKeys) -> str:
        """The number, for the bank. Raises NumberUnreadable."""
        if self.encrypted is not None:
            return keys.decrypt(self.encrypted, place=self.place)
        if not is_account_number(self.written):
            raise NumberUnreadable("none")
        return self.written

    def is_current(self, keys: NumberKeys) -> bool:
        """Whether it is encrypted with the current key."""
        return self.encrypted is not None and self.encrypted.startswith(f"{keys.current_id}:")


def encrypt_number(withdrawal: Withdrawal, keys: NumberKeys) -> None:
    """Before a new row is added: from now on only its encrypted number is whole."""
    kept = KeptNumber.of(withdrawal)
    withdrawal.account_number_encrypted = keys.encrypt(kept.written, place=kept.place)
    withdrawal.account_number_index = keys.index(kept.written)
    withdrawal.account_number = masked(kept.written)
