"""The errors of transfers, refunds and pots."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, Forbidden, Invalid, NotFound
from shared.money import Money


@dataclass(eq=False)
class RecipientNotFound(NotFound):
    """No owner has this wallet id, or the account id is not one of the owner's own."""

    code = "recipient_not_found"
    title = "No such recipient"

    @property
    def detail(self) -> str:
        """What a wallet id looks like."""
        return "Nobody has this wallet id. Check the spelling: it looks like name@batua."


@dataclass(eq=False)
class FilterTooShort(Invalid):
    """A search for people that would list strangers."""

    code = "filter_too_short"
    title = "Type at least three letters of the name, or the whole wallet id"


@dataclass(eq=False)
class TransferNotFound(NotFound):
    """The transfer does not exist, or the caller is not a party to it."""

    code = "transfer_not_found"
    title = "No such transfer"


@dataclass(eq=False)
class NotRefundable(Invalid):
    """Only a payment that the caller received can be refunded. `kind` is the kind of the transfer that was named."""

    kind: str

    code = "not_refundable"
    title = "Only payments that you received can be refunded"


@dataclass(eq=False)
class AnotherItemRejected(Conflict):
    """The item is valid, but another item of an all-or-nothing request was rejected."""

    code = "another_refused"
    title = "Not sent, because another item of the request was refused"


@dataclass(eq=False)
class SystemUserOnly(Forbidden):
    """Only the platform's own user gives initial funds."""

    code = "system_user_only"
    title = "Only the platform's own user may do this"


@dataclass(eq=False)
class PotNameTaken(Conflict):
    """The pots of one owner have different names."""

    name: str

    code = "pot_name_taken"
    title = "You already have a pot with this name"


@dataclass(eq=False)
class PotNotEmpty(Conflict):
    """A pot with money is not closed. `balance` is paise."""

    balance: int

    code = "pot_not_empty"
    title = "There is money in this pot"

    @property
    def detail(self) -> str:
        """How much, and what to do."""
        return f"{Money(self.balance)} is in this pot. Move it back first, then close it."


@dataclass(eq=False)
class PotMayBeRefunded(Conflict):
    """A shop that was paid from the pot may give the money back, to the account that paid."""

    code = "pot_may_be_refunded"
    title = "A shop was paid from this pot. What it gives back comes here, so the pot stays open"


@dataclass(eq=False)
class TooManyPots(Conflict):
    """The owner has `limit` pots already, the most allowed."""

    limit: int

    code = "too_many_pots"
    title = "No more pots can be opened"

    @property
    def detail(self) -> str:
        """The limit."""
        return f"You have {self.limit} pots, which is as many as one may have."
