"""A transaction as statements see it that run within a session and on the driver's own connection alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession


class Transaction(Protocol):
    """What an asyncpg connection with an open transaction can do."""

    async def fetch(self, query: str, /, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Run a statement with `$1`, `$2`, ... and answer its rows. Values are those of the driver."""


class SessionTransaction:
    """The transaction of a session, which begins with the first statement if it has not begun."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def fetch(self, query: str, /, *arguments: Any) -> Sequence[Sequence[Any]]:
        """Run a statement that answers rows."""
        connection = await self._session.connection()
        return (await connection.exec_driver_sql(query, arguments)).all()
