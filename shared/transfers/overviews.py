"""What a person's first page shows beside the wallet: who asks at one moment is answered by the same two statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.errors import TokenInvalid
from shared.db.gather import Gather
from shared.ledger.statement import LINE_COLUMNS, LINE_JOINS, Line, line_from

_PEOPLE = """
    SELECT asked.place, person.first_name, pot.id, pot.name, pot.balance
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (owner_id, place)
    JOIN users person ON person.id = asked.owner_id
    LEFT JOIN accounts pot ON pot.owner_id = asked.owner_id AND pot.kind = 'pot' AND pot.closed_at IS NULL
    ORDER BY asked.place, pot.id
"""
_LINES = f"""
    SELECT asked.place, {LINE_COLUMNS}
    FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS asked (account_id, lines, place)
    CROSS JOIN LATERAL (
        SELECT * FROM entries WHERE entries.account_id = asked.account_id ORDER BY entries.seq DESC LIMIT asked.lines
    ) entry
    {LINE_JOINS.format(condition="")}
    ORDER BY asked.place, entry.seq DESC
"""  # noqa: S608 - constants of this code


class Pot(NamedTuple):
    """Money put aside. `balance` is paise."""

    id: UUID
    name: str
    balance: int


class Overview(NamedTuple):
    """What to call a person, the pots, oldest first, and the newest lines of the wallet's statement, newest first."""

    first_name: str
    pots: list[Pot]
    recent: list[Line]


class _Question(NamedTuple):
    owner_id: UUID
    account_id: UUID
    lines: int


class _Answer(NamedTuple):
    people: list[asyncpg.Record]
    lines: list[asyncpg.Record]


class Overviews:
    """Reads overviews."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._gather = Gather(engine, _ask_all)

    async def read(self, owner_id: UUID, *, account_id: UUID, lines: int = 0) -> Overview:
        """The person's overview; `account_id` is the wallet's. Raises TokenInvalid if there is no such person."""
        answer = await self._gather.ask(_Question(owner_id, account_id, lines), owner_id)
        if not answer.people:
            raise TokenInvalid
        pots = [Pot(*row[2:]) for row in answer.people if row[2] is not None]
        return Overview(answer.people[0][1], pots, [line_from(row[1:], owner_id) for row in answer.lines])


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[_Question]) -> list[_Answer]:
    owner_ids, account_ids, lines = map(list, zip(*asked, strict=True))
    answers = [_Answer([], []) for _ in asked]
    for row in await connection.fetch(_PEOPLE, owner_ids):
        answers[row[0] - 1].people.append(row)
    for row in await connection.fetch(_LINES, account_ids, lines) if any(lines) else ():
        answers[row[0] - 1].lines.append(row)
    return answers
