"""Why money is not sent, or a pot not opened."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, Forbidden, Invalid, NotFound


@dataclass(eq=False)
class RecipientNotFound(NotFound):
    """Nobody has this wallet id, and none of one's own accounts has this id."""

    code = "recipient_not_found"
    title = "No such recipient"

    @property
    def detail(self) -> str:
        """What a recipient looks like."""
        return "Nobody has this wallet id. Check the spelling: it looks like name@batua."


@dataclass(eq=False)
class TransferNotFound(NotFound):
    """No such transfer, or the caller has no part in it."""

    code = "transfer_not_found"
    title = "No such transfer"


@dataclass(eq=False)
class NotRefundable(Invalid):
    """Only a payment that one received is given back. `kind` is what it is instead, or who else received it."""

    kind: str

    code = "not_refundable"
    title = "Only payments that you received can be refunded"


@dataclass(eq=False)
class AnotherRefused(Conflict):
    """Nothing is wrong with this item, but it was to be all or nothing."""

    code = "another_refused"
    title = "Not sent, because another item of the request was refused"


@dataclass(eq=False)
class SystemUserOnly(Forbidden):
    """Initial funds come from the platform's own user."""

    code = "system_user_only"
    title = "Only the platform's own user may do this"


@dataclass(eq=False)
class PotNameTaken(Conflict):
    """One owner's pots have different names."""

    name: str

    code = "pot_name_taken"
    title = "You already have a pot with this name"


@dataclass(eq=False)
class TooManyPots(Conflict):
    """`limit` pots is as many as one owner may have."""

    limit: int

    code = "too_many_pots"
    title = "No more pots can be opened"

    @property
    def detail(self) -> str:
        """How many one may have."""
        return f"You have {self.limit} pots, which is as many as one may have."
