"""What came in and what went out by a filtered statement: exact, or none where the range has too many lines, or has
lines that are archived.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.db.reads import Source, fetch
from shared.ledger import statement
from shared.ledger.errors import AccountNotFound
from shared.ledger.statement import (
    IS_FOUND,
    IS_OF_FILTER,
    IS_OF_KIND,
    LAST_SEQ,
    LINE_JOINS,
    POSSIBLE_LINES,
    SOUGHT_TEXT,
    Filter,
)

_TOTALS = """
    WITH {ranges}
    SELECT possible.highest - possible.lowest >= $4::bigint OR possible.is_archived, sums.*
    FROM possible CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE direction = 'CREDIT'), 0)::bigint,
               coalesce(sum(amount) FILTER (WHERE direction = 'DEBIT'), 0)::bigint
        FROM (
            SELECT * FROM entries
            WHERE account_id = possible.id AND seq BETWEEN possible.lowest AND possible.highest
              AND possible.highest - possible.lowest < $4::bigint AND {is_of_filter}
            ORDER BY seq DESC OFFSET 0
        ) entry {joins}
    ) sums
"""
# Only kind and search need to know more than the entries say.
_OF_ENTRIES = _TOTALS.format(ranges=POSSIBLE_LINES, is_of_filter=IS_OF_FILTER, joins="")
_OF_LINES = _TOTALS.format(
    ranges=f"{POSSIBLE_LINES}, {SOUGHT_TEXT}",
    is_of_filter=IS_OF_FILTER,
    joins=f"{LINE_JOINS.format(condition=IS_OF_KIND)} WHERE {IS_FOUND}",
)


@dataclass(frozen=True, slots=True)
class StatementTotals:
    """Paise in and out."""

    money_in: int
    money_out: int


async def read_totals(source: Source, account_id: UUID, *, owner_id: UUID, wanted: Filter) -> StatementTotals | None:
    """The sums of every line that matches, in one statement; None if its range has more than SEARCH_LINES lines, or
    begins before the opening balance.

    The range is what the days allow: other filters do not make it shorter. Raises AccountNotFound.
    """
    arguments = (account_id, owner_id, LAST_SEQ, statement.SEARCH_LINES, *wanted.of_entries)
    if wanted.kind is None and not wanted.search:
        rows = await fetch(source, _OF_ENTRIES, *arguments)
    else:
        rows = await fetch(source, _OF_LINES, *arguments, wanted.kind, wanted.search or None)
    if not rows:
        raise AccountNotFound
    is_too_long, money_in, money_out = rows[0]
    return None if is_too_long else StatementTotals(money_in, money_out)
