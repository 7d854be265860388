"""Lines of a statement with what was refunded of each. Amounts in paise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.db.gather import Gather
from shared.ledger.parties import HOLDER_COLUMNS, Holder
from shared.ledger.statement import Line
from shared.transfers.queries import refunded_amounts

_OTHER = HOLDER_COLUMNS.format(account="other", wallet="wallet", user="person", merchant="shop")
# The inner queries end with LIMIT and OFFSET, so that Postgres can only walk from each entry to its rows by their keys,
# whatever it believes of the sizes of tables. A key of NULL is not looked up.
_ASK = f"""
    SELECT asked.place, entry.transfer_id, entry.seq, entry.direction, told.kind, entry.amount, entry.balance_after,
           told.note, entry.created_at, told.refunded,
           told.id, told.owner_id, told.account_kind, told.name, told.handle, told.owner_name
    FROM unnest($1::uuid[], $2::bigint[], $3::int[]) WITH ORDINALITY AS asked (account_id, before_seq, lines, place)
    CROSS JOIN LATERAL (
        SELECT * FROM entries
        WHERE entries.account_id = asked.account_id AND entries.seq < asked.before_seq
        ORDER BY entries.seq DESC LIMIT asked.lines
    ) entry
    CROSS JOIN LATERAL (
        SELECT {_OTHER}, transfer.kind, transfer.note, reversed.reversed
        FROM transfers transfer
        JOIN accounts other ON other.id = CASE transfer.debit_account_id
            WHEN entry.account_id THEN transfer.credit_account_id ELSE transfer.debit_account_id END
        LEFT JOIN accounts wallet ON wallet.owner_id = other.owner_id AND wallet.kind IN ('wallet', 'merchant')
        LEFT JOIN users person ON person.id = other.owner_id
        LEFT JOIN merchants shop ON shop.id = other.owner_id
        LEFT JOIN reversed_totals reversed
            ON reversed.transfer_id = CASE transfer.kind WHEN 'payment' THEN transfer.id END
        WHERE transfer.id = entry.transfer_id
        OFFSET 0
    ) told (id, owner_id, account_kind, name, handle, owner_name, kind, note, refunded)
    ORDER BY asked.place, entry.seq DESC
"""  # noqa: S608 - constants of this code
_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line, and how much of it was refunded: only a payment that the account received can be."""

    line: Line
    refunded: int

    @property
    def refundable(self) -> int | None:
        """What can still be refunded; None unless the line is a payment received."""
        return self.line.amount - self.refunded if _is_received_payment(self.line) else None


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
        question = _Question(account_id, _NEWEST if before_seq is None else before_seq, limit + 1)
        rows = await self._gather.ask(question, owner_id)
        lines = [_line(row, owner_id) for row in rows[:limit]]
        return StatementPart(lines, lines[-1].line.seq if len(rows) > limit else None)


async def with_refunds(session: AsyncSession, lines: Sequence[Line]) -> list[StatementLine]:
    """The lines in their order, each with what was refunded of it. One query, none without a received payment."""
    refunded = await refunded_amounts(session, [line.transfer_id for line in lines if _is_received_payment(line)])
    return [StatementLine(line, refunded.get(line.transfer_id, 0)) for line in lines]


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


def _line(row: asyncpg.Record, owner_id: UUID) -> StatementLine:
    _, transfer_id, seq, direction, kind, amount, balance_after, note, created_at, refunded, *holder = row
    other = Holder(*holder).seen_by(owner_id)
    line = Line(transfer_id, seq, direction, kind, amount, balance_after, other, note, created_at)
    return StatementLine(line, refunded or 0 if _is_received_payment(line) else 0)


def _is_received_payment(line: Line) -> bool:
    return line.kind == "payment" and line.direction == "CREDIT"
