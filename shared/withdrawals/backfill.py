"""Encrypt the account numbers that rows have whole or under an older key. It runs beside all services.

Every batch is a transaction that locks its rows for milliseconds. What is done is seen in the rows, so a run that was
interrupted is repeated; the version before, while it runs, adds rows that a repeat finds.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import String, Uuid, and_, column, func, or_, select, update, values
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from shared.banks.account_numbers import masked
from shared.banks.number_keys import NumberKeys, NumberUnreadable
from shared.db.engine import SessionMaker
from shared.models import Withdrawal
from shared.withdrawals.kept_numbers import KeptNumber

BATCH = 500

Progress = Callable[[int, int], None]
"""Called with how many rows were looked at, and how many there are."""


class Backfill:
    """One run: `encrypted` counts rows, `unreadable` holds the ids of those that stay as they are."""

    def __init__(self, sessionmaker: SessionMaker, keys: NumberKeys, batch: int = BATCH) -> None:
        self.encrypted = 0
        self.unreadable: list[UUID] = []
        self._sessionmaker = sessionmaker
        self._keys = keys
        self._batch = batch

    async def run(self, progress: Progress = lambda _done, _to_do: None) -> None:
        """Go through all rows in the order of their ids, and then from the start, until a round finds none to encrypt.

        A row that another transaction committed late may have an id that was passed already.
        """
        before = -1
        while self.encrypted > before:
            before = self.encrypted
            await self._round(progress)

    async def _round(self, progress: Progress) -> None:
        self.unreadable = []
        async with self._sessionmaker() as session:
            counted = select(func.count()).select_from(Withdrawal).where(self._is_to_do())
            done, to_do = 0, (await session.execute(counted)).scalar_one()
        last: UUID | None = UUID(int=0)
        while last is not None:
            progress(done, to_do)
            async with self._sessionmaker.begin() as session:
                last, looked_at = await self._next(session, last)
            done = min(done + looked_at, to_do)
        progress(to_do, to_do)

    async def _next(self, session: AsyncSession, after: UUID) -> tuple[UUID | None, int]:
        """The last id of the next batch, None after the last one, and how many rows it had."""
        statement = select(Withdrawal).where(Withdrawal.id > after, self._is_to_do())
        found = await session.scalars(statement.order_by(Withdrawal.id).limit(self._batch).with_for_update())
        rows = list(found)
        changed = []
        for row in rows:
            kept = KeptNumber.of(row)
            try:
                number = kept.whole(self._keys)
            except NumberUnreadable:
                self.unreadable.append(row.id)
            else:
                encrypted = self._keys.encrypt(number, place=kept.place)
                changed.append((row.id, encrypted, self._keys.index(number), masked(number)))
        if changed:
            await _write(session, changed)
        self.encrypted += len(changed)
        return (rows[-1].id if rows else None), len(rows)

    def _is_to_do(self) -> ColumnElement[bool]:
        encrypted = Withdrawal.account_number_encrypted
        # What a recovery wrote, taken up at the moment it was created, has no number that could be encrypted: the bank
        # tells the last digits at most. Any other row with a masked number alone is damaged, and is named.
        is_recovered = and_(
            Withdrawal.account_number.startswith("X"),
            Withdrawal.active_since.is_not_distinct_from(Withdrawal.created_at),
        )
        return or_(
            and_(encrypted.is_(None), ~is_recovered),
            ~encrypted.startswith(f"{self._keys.current_id}:", autoescape=True),
        )


async def _write(session: AsyncSession, changed: list[tuple[UUID, str, str, str]]) -> None:
    """All rows of a batch in one statement, and no other column of theirs."""
    new = values(
        column("id", Uuid),
        column("encrypted", String),
        column("index", String),
        column("masked", String),
        name="new",
    ).data(changed)
    statement = (
        update(Withdrawal)
        .where(Withdrawal.id == new.c.id)
        .values(account_number_encrypted=new.c.encrypted, account_number_index=new.c.index, account_number=new.c.masked)
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)
