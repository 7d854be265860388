"""Why a withdrawal is not taken, shown or changed."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, FieldError, Invalid, NotFound, TooMany


@dataclass(eq=False)
class WithdrawalNotFound(NotFound):
    """No such withdrawal, or somebody else's."""

    code = "withdrawal_not_found"
    title = "No such withdrawal"


@dataclass(eq=False)
class AlreadySent(Conflict):
    """It left the queue: only the bank can say what becomes of it. `status` is where it stands."""

    status: str

    code = "already_sent"
    title = "This withdrawal has left the queue and cannot be cancelled any more"


@dataclass(eq=False)
class WithdrawalInvalid(Invalid):
    """Some fields cannot be right; `fields` says which and why, never what was in them."""

    fields: dict[str, str]

    code = "withdrawal_invalid"
    title = "The withdrawal cannot be made like this"

    @property
    def errors(self) -> list[FieldError]:
        """The fields, in the form of any refused body."""
        return [FieldError(name, message) for name, message in self.fields.items()]


@dataclass(eq=False)
class TooManyQueued(TooMany):
    """The owner's queue is full. `limit` counts withdrawals that are not finished."""

    limit: int

    code = "too_many_withdrawals"
    title = "Too many withdrawals are waiting; let some finish first"

    @property
    def retry_after_seconds(self) -> int:
        """Some may have left by then."""
        return 60


@dataclass(eq=False)
class NotUnderReview(Conflict):
    """An operator decides only what the engine has given up on. `status` is where it stands."""

    status: str

    code = "not_under_review"
    title = "Only a withdrawal that needs review can be resolved by hand"


@dataclass(eq=False)
class BankBeingAsked(Conflict):
    """A call to the bank is under way, and may be the payout itself: its outcome comes before anybody's decision."""

    code = "bank_being_asked"
    title = "The bank is being called about this withdrawal right now; decide in a minute, if it still needs review"
