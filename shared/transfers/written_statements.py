"""Statements of wallets as the JSON of `GET /transactions`, written by Postgres: one statement of SQL answers all who
ask at that moment.

To read twenty rows of fifteen columns and write them as JSON takes longer than all else of such a request. A test
compares the text with what the route's model writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.gather import Gather
from shared.db.replica import HistoryGather, Mark, Replica
from shared.ledger.parties import PARTY_NAME, PARTY_WALLET_ID
from shared.ledger.statement import LAST_SEQ, LINE_JOINS, REFUNDED

_HOLDER = {"holder": "told", "reader": "asked.owner_id"}
# A time that ends with a second is written without its zeros, as the model writes it.
_TIME = """
    concat(replace(to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''), 'Z')
"""
_LINE = f"""
    concat(
        '{{"id":"', entry.transfer_id, '","direction":"', entry.direction, '","kind":"', transfer.kind,
        '","amount":', entry.amount, ',"balance_after":', entry.balance_after,
        ',"counterparty":{{"wallet_id":', coalesce(to_json({PARTY_WALLET_ID.format(**_HOLDER)}), 'null'),
        ',"name":', to_json({PARTY_NAME.format(**_HOLDER)}),
        '}},"note":', coalesce(to_json(transfer.note), 'null'),
        ',"created_at":"', {_TIME.format(at="entry.created_at")}, '"',
        ',"refundable":' || (entry.amount - {REFUNDED}), '}}'
    )
"""
_ASK = f"""
    SELECT written.items, written.last_seq, opening.seq, opening.text
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::int[])
         WITH ORDINALITY AS asked (account_id, owner_id, before_seq, lines, place)
    CROSS JOIN LATERAL (
        SELECT string_agg(line.text, ',' ORDER BY line.seq DESC) AS items, min(line.seq) AS last_seq
        FROM (
            SELECT entry.seq, {_LINE} AS text
            FROM (
                SELECT * FROM entries
                WHERE entries.account_id = asked.account_id AND entries.seq < asked.before_seq
                ORDER BY entries.seq DESC LIMIT asked.lines
            ) entry
            {LINE_JOINS.format(condition="")}
        ) line
    ) written
    LEFT JOIN LATERAL (
        SELECT seq,
               concat('{{"balance":', balance, ',"archived_until":"', {_TIME.format(at="last_entry_at")}, '"}}') AS text
        FROM opening_balances WHERE account_id = asked.account_id OFFSET 0
    ) opening ON true
    ORDER BY asked.place
"""  # noqa: S608 - constants of this code


@dataclass(frozen=True, slots=True)
class WrittenLines:
    """JSON objects, newest first, with commas between them. `next_before` is the next part's `before_seq`, None on the
    last part. That one has the `opening` balance, a JSON object, where earlier lines are archived.
    """

    items: str
    next_before: int | None
    opening: str | None = None


class _Question(NamedTuple):
    account_id: UUID
    owner_id: UUID
    before_seq: int
    lines: int


class WrittenStatements:
    """Reads the statements of wallets without a filter."""

    def __init__(self, engine: AsyncEngine, replica: Replica | None) -> None:
        self._gather = Gather(engine, _ask_all)
        self._of_replica = None if replica is None else HistoryGather(replica, _ask_all)

    async def read(
        self, account_id: UUID, *, owner_id: UUID, limit: int, before_seq: int | None, newest_seq: int
    ) -> WrittenLines:
        """At most `limit` lines older than `before_seq`. The account exists and is the owner's; `newest_seq` is the
        number of its newest entry, as the primary has just said.
        """
        question = _Question(account_id, owner_id, LAST_SEQ if before_seq is None else before_seq, limit)
        answer = None
        if self._of_replica is not None:
            answer = await self._of_replica.ask(question, Mark(account_id, newest_seq), owner_id)
        found = await self._gather.ask(question, owner_id) if answer is None else answer
        items, last_seq, opening_seq, opening = found
        # The numbers of lines have no gaps: the first that is there follows the opening balance.
        if last_seq is not None and last_seq > (opening_seq or 0) + 1:
            return WrittenLines(items, last_seq)
        return WrittenLines(items or "", None, opening)


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[_Question]) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await connection.fetch(_ASK, *map(list, zip(*asked, strict=True)))
    return rows
