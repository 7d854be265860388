"""A bank's statement of any length: a bank that finds a range too long is asked for its halves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from shared.banks.errors import Refused
from shared.banks.messages import StatementItem

TOO_LONG = "RANGE_TOO_LARGE"
SHORTEST_RANGE = timedelta(seconds=1)


class StatementSource(Protocol):
    """The part of `shared.banks.client.BankClient` that is used here."""

    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        """Answer every line of our nodal account from `start` to before `end`, oldest first."""


async def whole_statement(client: StatementSource, start: datetime, end: datetime) -> list[StatementItem]:
    """The lines of the range, oldest first. Raises what `BankClient.statement` raises."""
    try:
        return await client.statement(start, end)
    except Refused as refused:
        if refused.reason != TOO_LONG or end - start < SHORTEST_RANGE:
            raise
    middle = start + (end - start) / 2
    return [*await whole_statement(client, start, middle), *await whole_statement(client, middle, end)]
