"""What is new for one owner since a cursor, read from Postgres: movements, on-ramps, withdrawals, the balance.

The truth of an event is a durable row. Movements are counted by the wallet's gap-free `seq`, so none is left out and
none comes twice. On-ramps and withdrawals are told as they stand now, so that one told twice changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.api.transactions import transaction_of
from shared.api.wallet import wallet_body
from shared.ledger import statement
from shared.models import Account
from shared.on_ramps.commands import recent_on_ramps
from shared.transfers.statement_lines import with_refunds
from shared.withdrawals.views import recent_withdrawals

BATCH = 100
MAX_REPLAYED = 500
"""Of more missed movements, the newest are told; the statement has them all."""
OVERLAP = timedelta(seconds=60)
"""How far back changes are looked for: longer than any transaction is open or any clock is wrong."""
MAX_CURSOR_LENGTH = 64
_MAX_NUMBER = 2**63 - 1

Name = Literal["balance", "transaction", "onramp", "withdrawal"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where somebody has been told: the wallet's `seq`, and the moment up to which changes were looked for."""

    seq: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.seq}-{int(self.at.timestamp() * 1_000_000)}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that was written like this, or None for anything else."""
        seq, _, micros = text.partition("-")
        numbers = [part for part in (seq, micros) if part.isascii() and part.isdecimal() and len(part) <= len("9" * 19)]
        if len(text) > MAX_CURSOR_LENGTH or len(numbers) != 2 or int(seq) > _MAX_NUMBER:  # noqa: PLR2004 - a pair
            return None
        try:
            return cls(int(seq), datetime.fromtimestamp(int(micros) / 1_000_000, UTC))
        except (ValueError, OverflowError, OSError):
            return None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell; `cursor` is where a listener stands once it was told."""

    name: Name
    data: dict[str, Any]
    cursor: Cursor


def cursor_now(account: Account) -> Cursor:
    """Where somebody stands who was shown this account just now."""
    return Cursor(account.seq, clock.now())


class Feed:
    """One listener's reading of one owner's news. Without a cursor it begins with how things stand."""

    def __init__(self, owner_id: UUID, account_id: UUID, cursor: Cursor | None) -> None:
        self._owner_id = owner_id
        self._account_id = account_id
        self._cursor = cursor
        self._balance: dict[str, Any] | None = None
        self._told: dict[str, str] = {}
        """By on-ramp or withdrawal, the words in which it was told last."""

    async def news(self, session: AsyncSession) -> tuple[list[Event], bool]:
        """What is new, about BATCH things at most, and whether there is more. Costs the same in a long history."""
        read_at = clock.now()
        account = await session.get_one(Account, self._account_id, populate_existing=True)
        before = self._start(account)
        upto = min(account.seq, before.seq + BATCH)
        movements = await self._movements(session, before, upto)
        if upto < account.seq:
            self._cursor = movements[-1].cursor
            return movements, True
        after = Cursor(upto, read_at)
        changes = await self._changes(session, before.at - OVERLAP, replace(before, seq=upto))
        balance = wallet_body(account)
        news = movements + changes
        if balance != self._balance or news:
            news.append(Event("balance", balance, after))
        self._balance, self._cursor = balance, after
        return news, False

    def _start(self, account: Account) -> Cursor:
        if self._cursor is None or self._cursor.seq > account.seq:
            return Cursor(account.seq, clock.now())
        at = min(self._cursor.at, clock.now())
        return Cursor(max(self._cursor.seq, account.seq - MAX_REPLAYED), at)

    async def _movements(self, session: AsyncSession, before: Cursor, upto: int) -> list[Event]:
        count = upto - before.seq
        if count <= 0:
            return []
        # Without a gap, so this many lines up to `upto` are exactly those after the cursor.
        page = await statement.read_page(session, self._account_id, limit=count, before_seq=upto + 1)
        lines = page.lines[::-1]
        return [
            Event("transaction", transaction_of(shown).model_dump(mode="json"), replace(before, seq=shown.line.seq))
            for shown in await with_refunds(session, lines)
        ]

    async def _changes(self, session: AsyncSession, since: datetime, cursor: Cursor) -> list[Event]:
        on_ramps = await recent_on_ramps(session, owner_id=self._owner_id, since=since)
        withdrawals = await recent_withdrawals(session, owner_id=self._owner_id, since=since)
        found: list[tuple[Name, dict[str, Any]]] = [("onramp", each) for each in on_ramps]
        found += [("withdrawal", each) for each in withdrawals]
        told = {each["id"]: json.dumps(each) for _, each in found}
        news = [Event(name, each, cursor) for name, each in found if self._told.get(each["id"]) != told[each["id"]]]
        self._told = told
        return news
