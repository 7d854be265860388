"""Why an operator's action is not carried out. Nothing has changed then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Conflict, Forbidden, NotFound, Unaffordable
from shared.money import Money


@dataclass(eq=False)
class NotAnOperator(Forbidden):
    """Who asks has signed in to the database as a role that is no operator's."""

    role: str

    code = "not_an_operator"
    title = "Only an operator may do this"

    @property
    def detail(self) -> str:
        """Who asks, and what to do."""
        return (
            f"{self.role} is not an operator. Sign in as one: put the address that `batua operators add` shows into "
            "BATUA_DATABASE_URL."
        )


@dataclass(eq=False)
class OwnProposal(Forbidden):
    """Who proposed it does not confirm it."""

    proposed_by: str

    code = "own_proposal"
    title = "Another operator has to confirm this"

    @property
    def detail(self) -> str:
        """Who proposed it."""
        return f"{self.proposed_by} proposed this, so another operator has to confirm it."


@dataclass(eq=False)
class ProposalNotFound(NotFound):
    """There is no such proposal."""

    code = "proposal_not_found"
    title = "No such proposal"


@dataclass(eq=False)
class ProposalDecided(Conflict):
    """A proposal is decided once. `state` is what became of it."""

    state: str

    code = "proposal_decided"
    title = "This proposal was decided before"

    @property
    def detail(self) -> str:
        """What became of it."""
        return f"This proposal is {self.state}: propose it again if it is still wanted."


@dataclass(eq=False)
class DeliveryNotFound(NotFound):
    """No bank has delivered a notice that is kept under this id."""

    code = "delivery_not_found"
    title = "No such delivery"


@dataclass(eq=False)
class DeliveryDone(Conflict):
    """What the delivery says was done when it came. `verdict` says what was made of it."""

    verdict: str

    code = "delivery_done"
    title = "Nothing is left to do for this delivery"


@dataclass(eq=False)
class ParkedDebitNotFound(NotFound):
    """No debit of this name is parked in suspense."""

    code = "parked_debit_not_found"
    title = "No such debit in suspense: `batua suspense list` shows what there is"


@dataclass(eq=False)
class ParkedDebitsAlike(Conflict):
    """Several debits have this reference. `debits` are the ids of what parked them, the banks, and paise."""

    debits: Sequence[tuple[str, str, int]]

    code = "parked_debits_alike"
    title = "Several debits in suspense have this reference"

    @property
    def detail(self) -> str:
        """How to name one of them."""
        named = " or ".join(f"{transfer} ({Money(amount)} of {bank})" for transfer, bank, amount in self.debits)
        return f"{self.title}: name one of them by its transfer, {named}."


@dataclass(eq=False)
class ParkedDebitEnded(Conflict):
    """A debit leaves suspense once. `action` and `action_id` say how it did, as far as that is known by now."""

    action: str | None = None
    action_id: str | None = None

    code = "parked_debit_ended"
    title = "This debit has left suspense before"

    @property
    def detail(self) -> str:
        """What ended it, or what to do with another proposal about it."""
        if self.action_id is None:
            return f"{self.title}. Nothing has changed: decline this proposal."
        return f"{self.title} ({self.action}): `batua proposals show {self.action_id}`."


@dataclass(eq=False)
class ParkedDebitCameBack(Conflict):
    """The bank gave back what it took under this reference, or a part. `left` is paise."""

    left: int

    code = "parked_debit_came_back"
    title = "The bank has given it back"

    @property
    def detail(self) -> str:
        """What is left of it."""
        return f"{self.title}, or a part of it: under this reference {Money(self.left)} is left. Nothing has changed."


@dataclass(eq=False)
class WithdrawalOfDebitRuns(Conflict):
    """The debit's withdrawal may still be booked from its owner: then they would pay twice."""

    withdrawal_id: str
    status: str

    code = "withdrawal_of_debit_runs"
    title = "The withdrawal of this debit has not ended"

    @property
    def detail(self) -> str:
        """Where it stands, and what to do."""
        return f"Its withdrawal is {self.status}: end that first (`batua withdrawals show {self.withdrawal_id}`)."


@dataclass(eq=False)
class OwnerOfDebitNotKnown(Conflict):
    """The bank named no owner, and the operator did not either."""

    code = "owner_of_debit_not_known"
    title = "Whose debit this is, is not known here: ask the bank, and name the owner with --owner"


@dataclass(eq=False)
class OwnerOfDebitDiffers(Conflict):
    """The debit belongs to one owner, and is not taken from another. `wallet_id` is whose it is."""

    wallet_id: str

    code = "owner_of_debit_differs"
    title = "This debit is another owner's"

    @property
    def detail(self) -> str:
        """Whose it is, and how to collect it."""
        return f"This debit is {self.wallet_id}'s: only they owe it (`batua suspense collect`)."


@dataclass(eq=False)
class TooLittleToCollect(Unaffordable):
    """The owner's account has too little that is free. Amounts are paise."""

    wallet_id: str
    amount: int
    balance: int
    held: int

    code = "too_little_to_collect"
    title = "The owner has too little that is free"

    @property
    def detail(self) -> str:
        """What there is, and what to do."""
        has = f"{self.wallet_id} has {Money(self.balance)}, of which {Money(self.held)} is held for withdrawals"
        until = "their withdrawals have ended" if self.balance >= self.amount else "they have added money"
        return f"{has}: too little for {Money(self.amount)}. Nothing has changed. Try it again when {until}."


@dataclass(eq=False)
class FrozenToCollect(Conflict):
    """Nothing leaves the account of an owner who is frozen, and so does this not."""

    wallet_id: str

    code = "frozen_to_collect"
    title = "The owner is frozen"

    @property
    def detail(self) -> str:
        """What to do."""
        return (
            f"{self.wallet_id} is frozen, so nothing leaves the account. Nothing has changed. Try it again when the "
            "freeze has ended (`batua unfreeze`)."
        )


@dataclass(eq=False)
class NotFrozen(Conflict):
    """The owner is not frozen."""

    code = "not_frozen"
    title = "This owner is not frozen"
