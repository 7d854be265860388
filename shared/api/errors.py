"""What can go wrong when a statement is exported."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Invalid, Unavailable


@dataclass(eq=False)
class TooManyLines(Invalid):
    """The statement has more lines than a workbook holds."""

    limit: int

    code = "too_many_lines"
    title = "Too many transactions for a workbook"

    @property
    def detail(self) -> str:
        """What to do."""
        return f"A workbook holds {self.limit} transactions: choose a shorter range of days, or CSV"


@dataclass(eq=False)
class ExportBusy(Unavailable):
    """Others are having workbooks written."""

    code = "unavailable"
    title = "Too many workbooks at once; ask again shortly"

    @property
    def retry_after_seconds(self) -> int:
        """Time for one workbook."""
        return 5
