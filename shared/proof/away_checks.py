"""Checks of what is archived, by sums over all that is here: without a file, and without a row for each archived entry.

The next seal covers the sums. What the files say is for `batua archive check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.proof import seals

OPENING_DIGEST = """
    digest_number(CAST(json_build_array(
        o.account_id, o.seq, o.balance, to_char(o.last_entry_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        o.seal_id, CAST(o.inflow_amounts AS text), CAST(o.inflow_payments AS text)
    ) AS text))
"""
"""Of an opening balance `o`."""
TRANSFER_DIGEST = f"digest_number(CAST(json_build_array({{direction}}, t.id, {seals.OF_TRANSFER}) AS text))"
"""Of one side of a transfer `t`."""

_IS_USED = text("SELECT EXISTS (SELECT FROM archived_seals) OR EXISTS (SELECT FROM opening_balances)")
# A scalar query for each side: joined, Postgres would read all entries for a chunk of transfers.
_TRANSFERS = text(f"""
    SELECT count(*), coalesce(sum({TRANSFER_DIGEST.format(direction="side.direction")}), 0)
    FROM transfers t CROSS JOIN (VALUES ('DEBIT'), ('CREDIT')) AS side (direction)
    WHERE t.id > :after AND t.id <= :upto
      AND (SELECT count(*) FROM entries e WHERE e.transfer_id = t.id AND e.direction = side.direction) = 0
""")  # noqa: S608 - constants of this code
_TRANSFERS_ARCHIVED = text("""
    SELECT CAST(coalesce(sum(entries_away), 0) AS bigint), coalesce(sum(transfers_sum), 0) FROM archived_seals
""")
_OPENINGS = text(f"""
    SELECT CAST(coalesce(sum(o.seq), 0) AS bigint), coalesce(sum({OPENING_DIGEST}), 0)
    FROM opening_balances o WHERE o.account_id > :after AND o.account_id <= :upto
""")  # noqa: S608 - constants of this code
_OPENINGS_ARCHIVED = text("""
    SELECT CAST(coalesce(sum(entries_away), 0) AS bigint),
           coalesce((SELECT openings_sum FROM archived_seals ORDER BY seal_id DESC LIMIT 1), 0)
    FROM archived_seals
""")


@dataclass(slots=True)
class Tally:
    """A rule about what is archived: a count of entries and a sum of digests, of which each chunk has a part."""

    name: str
    of_chunk: Any
    expected: Any
    count: int = 0
    total: int = 0
    """An integer: it has more digits than Python's decimals add up."""

    async def add(self, session: AsyncSession, bounds: Mapping[str, Any]) -> None:
        """Add one chunk."""
        count, total = (await session.execute(self.of_chunk, bounds)).one()
        self.count += count
        self.total += int(total)

    async def offenders(self, session: AsyncSession) -> list[Mapping[str, Any]]:
        """What breaks the rule, behind the last chunk: no row has a name here."""
        count, total = (await session.execute(self.expected)).one()
        if (count, int(total)) == (self.count, self.total):
            return []
        if count != self.count:
            return [
                {
                    "problem": "another number of entries is away than was archived",
                    "archived": count,
                    "away": self.count,
                }
            ]
        return [{"problem": "a row is not what it was when the entries were archived", "entries": count}]


async def tallies(session: AsyncSession) -> dict[str, Tally]:
    """By the domain whose chunks they add up; none where nothing was ever archived."""
    if not await session.scalar(_IS_USED):
        return {}
    return {
        "accounts": Tally("opening balances are as the archive left them", _OPENINGS, _OPENINGS_ARCHIVED),
        "transfers": Tally("transfers without an entry are those that were archived", _TRANSFERS, _TRANSFERS_ARCHIVED),
    }
