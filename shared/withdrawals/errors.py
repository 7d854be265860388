"""Why a withdrawal is not accepted, shown or changed."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, FieldError, Invalid, NotFound, TooMany


@dataclass(eq=False)
class WithdrawalNotFound(NotFound):
    """There is no such withdrawal, or it is another owner's."""

    code = "withdrawal_not_found"
    title = "No such withdrawal"


@dataclass(eq=False)
class AlreadySent(Conflict):
    """It has left the queue, so it cannot be cancelled. `status` is its status now."""

    status: str

    code = "already_sent"
    title = "This withdrawal has left the queue and cannot be cancelled any more"


@dataclass(eq=False)
class WithdrawalInvalid(Invalid):
    """Some fields are invalid. `fields` says which and why, and never what was in them."""

    fields: dict[str, str]

    code = "withdrawal_invalid"
    title = "The withdrawal cannot be made like this"

    @property
    def errors(self) -> list[FieldError]:
        """The fields, as in every rejected body."""
        return [FieldError(name, message) for name, message in self.fields.items()]


@dataclass(eq=False)
class TooManyQueued(TooMany):
    """The owner has `limit` unfinished withdrawals."""

    limit: int

    code = "too_many_withdrawals"
    title = "Too many withdrawals are waiting; let some finish first"

    @property
    def retry_after_seconds(self) -> int:
        """Some may have ended by then."""
        return 60


@dataclass(eq=False)
class NotUnderReview(Conflict):
    """An operator resolves only what needs review. `status` is its status now."""

    status: str

    code = "not_under_review"
    title = "Only a withdrawal that needs review can be resolved by hand"


@dataclass(eq=False)
class NotToPark(Conflict):
    """It has ended, is under review, or waits behind another of its owner's. `status` is its status now."""

    status: str

    code = "not_to_park"
    title = "Only a withdrawal that is the owner's next, and has not ended, can be put under review"


@dataclass(eq=False)
class BankBeingAsked(Conflict):
    """A call to the bank is under way and may be the payout itself. Its outcome comes first."""

    code = "bank_being_asked"
    title = "The bank is being called about this withdrawal right now; decide in a minute, if it still needs review"
