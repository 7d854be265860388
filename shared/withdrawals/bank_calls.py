"""A call to a bank that a worker makes under a lease, and what was learnt from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared import spans
from shared.withdrawals.facts import Fact
from shared.withdrawals.kept_numbers import KeptNumber


class CallKind(StrEnum):
    """What a call to the bank does."""

    SEND = "send"
    """Send the payout."""
    ENQUIRE = "enquire"
    """Ask what became of it."""


@dataclass(frozen=True, slots=True)
class BankCall:
    """One call to make for one withdrawal, valid until the lease expires."""

    kind: CallKind
    owner_id: UUID
    withdrawal_id: UUID
    bank: str
    amount: int
    attempt: int
    lease_id: UUID
    lease_expires_at: datetime
    is_probe: bool
    number: KeptNumber
    account_holder: str
    traceparent: str | None = None

    @property
    def log_facts(self) -> dict[str, str]:
        """The ids that a line about it has. Many calls are recorded together, so they are not those of a context."""
        found = {"owner_id": str(self.owner_id), "withdrawal_id": str(self.withdrawal_id)}
        trace_id = spans.trace_of(self.traceparent) if spans.are_on() else None
        return found if trace_id is None else found | {"trace_id": trace_id}


Outcome = tuple[BankCall, Fact]
"""A call that was made, and what was learnt from it."""
