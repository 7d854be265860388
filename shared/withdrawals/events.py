"""What an event of a withdrawal's timeline says."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypedDict


class EventKind(StrEnum):
    """What an event of the timeline says. The values are stored, and the API shows them."""

    QUEUED = "queued"
    CANCELLED = "cancelled"
    SENDING = "sending"
    BANK_DOWN = "bank_down"
    DELAYED = "delayed"
    DELAYED_BUT_KNOWN = "delayed_but_known"
    CIRCUIT_OPEN = "bank_shut"
    BANK_SLOW = "bank_slow"
    PROCESSING = "processing"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"
    NEVER_ARRIVED = "never_arrived"
    INTERRUPTED = "interrupted"
    REFUSED_DURING_SEND = "refusal_heard"
    PAID = "paid"
    REFUSED = "refused"
    REVERSED = "returned"
    AMOUNT_MISMATCH = "amount_mismatch"
    LOST_BY_BANK = "lost_sight"
    NEEDS_REVIEW = "needs_review"
    CONTRADICTION = "contradiction"
    RESOLVED_PAID = "resolved_paid"
    RESOLVED_FAILED = "resolved_failed"

    @property
    def is_acknowledgement(self) -> bool:
        """The bank has, or had, this payout."""
        return self in (EventKind.PROCESSING, EventKind.REFUSED_DURING_SEND)


class EventFacts(TypedDict, total=False):
    """What an event says beside its kind. Which keys are there depends on the kind."""

    utr: str | None
    claim: str
    """What the bank says happened, in a contradiction."""
    amount: int
    """Paise, as the bank has it."""
    reason: str
    attempt: int
    next_check_at: datetime
