"""Errors of the ledger. A rejected command changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.clock import rfc3339
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Unaffordable, Unavailable
from shared.money import Money


@dataclass(eq=False)
class InsufficientFunds(Unaffordable):
    """The account would fall below its floor. Amounts in paise."""

    available: int
    amount: int

    code = "insufficient_funds"
    title = "Not enough money"

    @property
    def detail(self) -> str:
        """The requested and the available amount."""
        return f"{Money(self.amount)} is more than the {Money(self.available)} available."


LimitName = Literal[
    "transfer_per_movement",
    "transfer_per_day",
    "withdrawal_per_movement",
    "withdrawal_per_day",
    "funding_per_movement",
    "funding_per_day",
]
_LIMIT_WORDS = {
    "transfer_per_movement": "be sent at once",
    "transfer_per_day": "be sent in a day",
    "withdrawal_per_movement": "be withdrawn at once",
    "withdrawal_per_day": "be withdrawn in a day",
    "funding_per_movement": "be given at once",
    "funding_per_day": "be given in a day",
}


@dataclass(eq=False)
class LimitExceeded(Invalid):
    """The movement exceeds a limit of the owner. Amounts are paise; `resets_at` (UTC) is set for daily limits only."""

    limit: LimitName
    maximum: int
    used: int
    remaining: int
    resets_at: datetime | None = None

    code = "limit_exceeded"
    title = "Over the limit"

    @property
    def detail(self) -> str:
        """The limit, and for a daily limit what is left of it."""
        most = f"At most {Money(self.maximum)} can {_LIMIT_WORDS[self.limit]}."
        return most if self.resets_at is None else f"{most} {Money(self.remaining)} of it is left today."


@dataclass(eq=False)
class AccountNotFound(NotFound):
    """No such account."""

    code = "account_not_found"
    title = "No such account"


@dataclass(eq=False)
class AccountClosed(Forbidden):
    """A closed account sends and receives nothing."""

    code = "account_closed"
    title = "This account is closed"


@dataclass(eq=False)
class AccountFrozen(Forbidden):
    """An operator has frozen the owner: nothing leaves any of the owner's accounts, and what comes in is credited."""

    code = "account_frozen"
    title = "This account is frozen: no money can leave it"

    @property
    def detail(self) -> str:
        """What still works. Why it is frozen is not for its owner to read here."""
        return f"{self.title} until the freeze is lifted. Money that comes in is still credited."


@dataclass(eq=False)
class HistoryArchived(Invalid):
    """What is asked about lies before the opening balance: the entries until `archived_until` (UTC) are archived."""

    archived_until: datetime

    code = "history_archived"
    title = "So old entries are archived"

    @property
    def detail(self) -> str:
        """From when on the history is here."""
        return f"{self.title}: ask about a moment after {rfc3339(self.archived_until)}."


@dataclass(eq=False)
class CurrencyMismatch(Invalid):
    """The accounts and the amount must share one currency."""

    code = "currency_mismatch"
    title = "The currencies differ"


@dataclass(eq=False)
class SameAccount(Invalid):
    """A transfer needs two different accounts."""

    code = "same_account"
    title = "The money is already there: sender and receiver are the same account"


@dataclass(eq=False)
class HoldNotFound(NotFound):
    """No such hold on this account."""

    code = "hold_not_found"
    title = "No such hold"


@dataclass(eq=False)
class HoldNotActive(Conflict):
    """The hold was captured or released before: each hold ends once."""

    code = "hold_not_active"
    title = "This hold was captured or released before"


@dataclass(eq=False)
class HoldMismatch(Invalid):
    """A capture moves the whole held amount from the account of the hold."""

    code = "hold_mismatch"
    title = "The transfer does not match the hold"


@dataclass(eq=False)
class HoldExists(Conflict):
    """A hold with this id exists: each hold is placed once."""

    code = "hold_exists"
    title = "This hold was placed before"


@dataclass(eq=False)
class OriginalNotFound(NotFound):
    """The transfer to be reversed does not exist."""

    code = "original_not_found"
    title = "The transfer to be reversed does not exist"


@dataclass(eq=False)
class ReversalMismatch(Invalid):
    """A reversal moves money between the two accounts of its original, in the other direction."""

    code = "reversal_mismatch"
    title = "A reversal runs between the same two accounts, the other way round"


@dataclass(eq=False)
class ReversalExceedsOriginal(Invalid):
    """The reversals of a transfer must not exceed its amount. `remaining` is paise."""

    remaining: int

    code = "reversal_exceeds_original"
    title = "More than is left of the original transfer"

    @property
    def detail(self) -> str:
        """How much is left."""
        return (
            f"This is more than the {Money(self.remaining)} that is left to refund." if self.remaining else self.title
        )


@dataclass(eq=False)
class LedgerBusy(Unavailable):
    """The queue is full or the database cannot be reached. The transfer may still happen; retry with the same key to
    find out.
    """

    code = "ledger_busy"
    title = "Money cannot be moved right now; repeat the request with the same Idempotency-Key"

    @property
    def retry_after_seconds(self) -> int:
        """Seconds; the queue usually drains within them."""
        return 2
