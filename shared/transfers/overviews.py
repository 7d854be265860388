"""A person's name and pots, for the first page: one statement answers for all who open it at that moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.errors import TokenInvalid
from shared.db.gather import Gather

_ASK = """
    SELECT asked.place, person.first_name, pot.id, pot.name, pot.balance
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (owner_id, place)
    JOIN users person ON person.id = asked.owner_id
    LEFT JOIN accounts pot ON pot.owner_id = asked.owner_id AND pot.kind = 'pot' AND pot.closed_at IS NULL
    ORDER BY asked.place, pot.id
"""


@dataclass(frozen=True, slots=True)
class Pot:
    """Money put aside. `balance` is paise."""

    id: UUID
    name: str
    balance: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What to call a person, and the pots, oldest first."""

    first_name: str
    pots: list[Pot]


class Overviews:
    """Reads overviews."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._gather = Gather(engine, _ask_all)

    async def read(self, owner_id: UUID) -> Overview:
        """The person's overview. Raises TokenInvalid if there is no such person."""
        rows = await self._gather.ask(owner_id, owner_id)
        if not rows:
            raise TokenInvalid
        return Overview(rows[0][1], [Pot(*row[2:]) for row in rows if row[2] is not None])


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[UUID]) -> list[list[asyncpg.Record]]:
    answers: list[list[asyncpg.Record]] = [[] for _ in asked]
    for row in await connection.fetch(_ASK, asked):
        answers[row[0] - 1].append(row)
    return answers
