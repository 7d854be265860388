"""Why an operator's action is not carried out. Nothing has changed then."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Conflict, Forbidden, NotFound


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
class NotFrozen(Conflict):
    """The owner is not frozen."""

    code = "not_frozen"
    title = "This owner is not frozen"
