"""Why the ledger refuses a command. A refused command changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

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
        """What there is and what it would take."""
        return f"{Money(self.amount)} is more than the {Money(self.available)} available."


LimitName = Literal["transfer_per_movement", "transfer_per_day", "withdrawal_per_movement", "withdrawal_per_day"]
_LIMIT_WORDS = {
    "transfer_per_movement": "be sent at once",
    "transfer_per_day": "be sent in a day",
    "withdrawal_per_movement": "be withdrawn at once",
    "withdrawal_per_day": "be withdrawn in a day",
}


@dataclass(eq=False)
class LimitExceeded(Invalid):
    """More than the owner may move. `limit` says which; amounts in paise; `resets_at` (UTC) only for a day's limit."""

    limit: LimitName
    maximum: int
    used: int
    remaining: int
    resets_at: datetime | None = None

    code = "limit_exceeded"
    title = "Over the limit"

    @property
    def detail(self) -> str:
        """Which limit, and what is left of it."""
        most = f"At most {Money(self.maximum)} can {_LIMIT_WORDS[self.limit]}."
        return most if self.resets_at is None else f"{most} {Money(self.remaining)} of it is left today."


@dataclass(eq=False)
class AccountNotFound(NotFound):
    """No such account."""

    code = "account_not_found"
    title = "No such account"


@dataclass(eq=False)
class AccountClosed(Forbidden):
    """The account takes part in nothing any more."""

    code = "account_closed"
    title = "This account is closed"


@dataclass(eq=False)
class CurrencyMismatch(Invalid):
    """The accounts and the amount must share one currency."""

    code = "currency_mismatch"
    title = "The currencies differ"


@dataclass(eq=False)
class SameAccount(Invalid):
    """Money does not move from an account to itself."""

    code = "same_account"
    title = "The money is already there: sender and receiver are the same account"


@dataclass(eq=False)
class HoldNotFound(NotFound):
    """No such hold on this account."""

    code = "hold_not_found"
    title = "No such hold"


@dataclass(eq=False)
class HoldNotActive(Conflict):
    """A hold is captured or released once."""

    code = "hold_not_active"
    title = "This hold was captured or released before"


@dataclass(eq=False)
class HoldMismatch(Invalid):
    """A hold is captured whole, from the account it was placed on."""

    code = "hold_mismatch"
    title = "The transfer does not match the hold"


@dataclass(eq=False)
class HoldExists(Conflict):
    """A hold is placed once."""

    code = "hold_exists"
    title = "This hold was placed before"


@dataclass(eq=False)
class OriginalNotFound(NotFound):
    """The transfer to be reversed does not exist."""

    code = "original_not_found"
    title = "The transfer to be reversed does not exist"


@dataclass(eq=False)
class ReversalMismatch(Invalid):
    """A reversal runs between the two accounts of its original, the other way round."""

    code = "reversal_mismatch"
    title = "A reversal runs between the same two accounts, the other way round"


@dataclass(eq=False)
class ReversalExceedsOriginal(Invalid):
    """Reversals of one transfer never add up to more than it. `remaining` in paise."""

    remaining: int

    code = "reversal_exceeds_original"
    title = "More than is left of the original transfer"


@dataclass(eq=False)
class LedgerBusy(Unavailable):
    """The queue is full or the database away. Whether it moved is not known yet: the same key, sent again, tells."""

    code = "ledger_busy"
    title = "Money cannot be moved right now; repeat the request with the same Idempotency-Key"

    @property
    def retry_after_seconds(self) -> int:
        """A short pause lets the queue drain."""
        return 2
