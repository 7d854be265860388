"""Why a recovery cannot be begun or finished."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.errors import Conflict


@dataclass(eq=False)
class AnotherUnfinished(Conflict):
    """A recovery to another moment is unfinished."""

    restored_to: datetime

    code = "another_recovery_unfinished"
    title = "Another recovery is unfinished"

    @property
    def detail(self) -> str:
        """To which moment."""
        return f"A recovery to {self.restored_to.isoformat()} is unfinished: finish it first."


@dataclass(eq=False)
class NoneUnfinished(Conflict):
    """There is no recovery to go on with."""

    code = "no_recovery_unfinished"
    title = "No recovery is unfinished: begin one"


@dataclass(eq=False)
class BooksDiffer(Conflict):
    """A bank's statement has lines that our book lacks, or gave none."""

    left: int

    code = "books_differ"
    title = "The books differ from the banks'"

    @property
    def detail(self) -> str:
        """How many lines."""
        return f"{self.left} references of the banks are neither settled nor parked: settle them first."
