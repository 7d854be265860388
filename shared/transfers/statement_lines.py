"""Lines of a statement with what was refunded of each. Amounts in paise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.gather import Gather
from shared.db.reads import Source
from shared.ledger.statement import (
    EVERYTHING,
    LAST_SEQ,
    LINE_COLUMNS,
    LINE_JOINS,
    SEQ,
    Filter,
    FoundRows,
    Line,
    line_from,
    read_page,
)

_ASK = f"""
    SELECT asked.place, {LINE_COLUMNS}
    FROM unnest($1::uuid[], $2::bigint[], $3::int[]) WITH ORDINALITY AS asked (account_id, before_seq, lines, place)
    CROSS JOIN LATERAL (
        SELECT * FROM entries
        WHERE entries.account_id = asked.account_id AND entries.seq < asked.before_seq
        ORDER BY entries.seq DESC LIMIT asked.lines
    ) entry
    {LINE_JOINS.format(condition="")}
    ORDER BY asked.place, entry.seq DESC
"""  # noqa: S608 - constants of this code


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line, and how much of it was refunded: only a payment that the account received can be."""

    line: Line
    refunded: int

    @property
    def refundable(self) -> int | None:
        """What can still be refunded; None unless the line is a payment received."""
        line = self.line
        return line.amount - self.refunded if is_received_payment(line.kind, line.direction) else None


@dataclass(frozen=True, slots=True)
class StatementPart:
    """Lines, newest first. `next_before` is the next part's `before_seq`, None on the last part."""

    lines: list[StatementLine]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class _Question:
    account_id: UUID
    before_seq: int
    lines: int


class Statements:
    """Reads the statements of wallets without a filter: one statement of SQL answers all who ask at that moment."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._gather = Gather(engine, _ask_all)

    async def read(
        self, account_id: UUID, *, owner_id: UUID, limit: int, before_seq: int | None = None
    ) -> StatementPart:
        """At most `limit` lines older than `before_seq`. The account exists and is the owner's."""
        found = await self.read_rows(account_id, owner_id=owner_id, limit=limit, before_seq=before_seq)
        return StatementPart(with_refunds(line_from(row, owner_id) for row in found.rows), found.next_before)

    async def read_rows(self, account_id: UUID, *, owner_id: UUID, limit: int, before_seq: int | None) -> FoundRows:
        """The same as rows of LINE_COLUMNS."""
        question = _Question(account_id, LAST_SEQ if before_seq is None else before_seq, limit + 1)
        rows = [row[1:] for row in await self._gather.ask(question, owner_id)]
        is_last = len(rows) <= limit
        del rows[limit:]
        return FoundRows(rows, owner_id, None if is_last else rows[-1][SEQ])


async def read_part(
    source: Source,
    account_id: UUID,
    *,
    owner_id: UUID,
    limit: int,
    before_seq: int | None = None,
    wanted: Filter = EVERYTHING,
) -> StatementPart:
    """The same for any account of the owner, with a filter, by a statement of its own. Raises AccountNotFound."""
    page = await read_page(source, account_id, owner_id=owner_id, limit=limit, before_seq=before_seq, wanted=wanted)
    return StatementPart(with_refunds(page.lines), page.next_before)


def with_refunds(lines: Iterable[Line]) -> list[StatementLine]:
    """The lines in their order, each with what was refunded of it."""
    return [
        StatementLine(line, line.given_back if is_received_payment(line.kind, line.direction) else 0) for line in lines
    ]


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[_Question]) -> list[list[asyncpg.Record]]:
    rows = await connection.fetch(
        _ASK,
        [each.account_id for each in asked],
        [each.before_seq for each in asked],
        [each.lines for each in asked],
    )
    answers: list[list[asyncpg.Record]] = [[] for _ in asked]
    for row in rows:
        answers[row[0] - 1].append(row)
    return answers


def is_received_payment(kind: str, direction: str) -> bool:
    """Whether a line is a payment that the account received: only such a line can be refunded."""
    return kind == "payment" and direction == "CREDIT"
