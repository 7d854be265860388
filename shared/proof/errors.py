"""Why entries are not archived. Nothing is changed then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.errors import Conflict


@dataclass(eq=False)
class NotSchemasOwner(Conflict):
    """The database refuses it to everyone else."""

    code = "not_schemas_owner"
    title = "Only the owner of the schema archives: BATUA_DATABASE_URL must be the one that `batua migrate` uses"


@dataclass(eq=False)
class TooRecent(Conflict):
    """What is younger than a year stays."""

    latest: datetime

    code = "too_recent"
    title = "Entries stay for a year at least"

    @property
    def detail(self) -> str:
        """The latest day that may be named."""
        return f"{self.title}: name {self.latest:%Y-%m-%d} or an earlier day."


@dataclass(eq=False)
class NotProven(Conflict):
    """A whole proof must have passed in the last days, and no failure may stand."""

    code = "not_proven"
    title = "The last whole proof has not passed, is too old, or a failure stands: run `batua prove` first"


@dataclass(eq=False)
class RollUpsBehind(Conflict):
    """The roll-ups of a shop do not contain all of its entries that would go."""

    account_id: str

    code = "roll_ups_behind"
    title = "The roll-ups of a shop are behind: let the worker catch up"

    @property
    def detail(self) -> str:
        """Which shop."""
        return f"{self.title}. Its account is {self.account_id}."


@dataclass(eq=False)
class SealDiffers(Conflict):
    """The entries are not those that were sealed."""

    file_name: str

    code = "seal_differs"
    title = "The entries are not those that were sealed: run `batua prove`"

    @property
    def detail(self) -> str:
        """Of which file, and that nothing went."""
        return f"{self.title}. Nothing was archived as {self.file_name}."


@dataclass(eq=False)
class FileDiffers(Conflict):
    """A file of this name is there and has another content."""

    file_name: str

    code = "file_differs"
    title = "A file is not what its seal covers"

    @property
    def detail(self) -> str:
        """Which, and what to do."""
        return (
            f"{self.file_name} is not what its seal covers. The entries are still in the database: move it away first."
        )
