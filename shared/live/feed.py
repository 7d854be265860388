"""What changed for one owner since a cursor, read from Postgres: transactions, on-ramps, withdrawals, the wallet.

Every event is read from durable rows. Transactions are counted by the wallet's gap-free `seq`, so none is missing and
none comes twice. On-ramps and withdrawals are sent as they stand now, so a repeated event changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg

from shared import clock
from shared.db.reads import Reads
from shared.ledger import statement
from shared.ledger.accounts import Wallet
from shared.ledger.statement import Line, StatementPage
from shared.on_ramps.queries import recent_on_ramps
from shared.on_ramps.views import OnRampView
from shared.withdrawals.queries import recent_withdrawals
from shared.withdrawals.views import RecentWithdrawal

BATCH = 100
MAX_REPLAYED = 500
"""Of more missed transactions the newest are sent; the statement has all of them."""
OVERLAP = timedelta(seconds=60)
"""How far back changes are searched: longer than any database transaction is open or any clock is wrong."""
MAX_CURSOR_LENGTH = 64
_MAX_NUMBER = 2**63 - 1

Name = Literal["balance", "transaction", "onramp", "withdrawal"]
Subject = Wallet | Line | OnRampView | RecentWithdrawal


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a listener has received: transactions up to the wallet's `seq`, and changes up to the moment `at` (UTC)."""

    seq: int
    at: datetime

    def __str__(self) -> str:
        return f"{self.seq}-{int(self.at.timestamp() * 1_000_000)}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that this text stands for, or None if it stands for none."""
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
    """Something that changed. `cursor` is the listener's cursor once the event is received."""

    name: Name
    subject: Subject
    cursor: Cursor


class Feed:
    """Reads what is new for one listener. Without a cursor it begins with the present state."""

    def __init__(self, owner_id: UUID, cursor: Cursor | None) -> None:
        self._owner_id = owner_id
        self._cursor = cursor
        self._wallet: Wallet | None = None
        self._sent: dict[UUID, Subject] = {}
        """Each on-ramp and withdrawal as it was sent last, by its id."""

    async def read_events(self, reads: Reads, wallet: Wallet, asked_at: datetime) -> tuple[list[Event], bool]:
        """About BATCH new events at most, and whether there are more. The cost does not grow with the history.

        `wallet` is as Postgres showed it after `asked_at` (UTC). Raises TargetServerAttributeNotMatched, and moves no
        cursor, where the newest of its transactions is not shown.
        """
        before = self._start(wallet)
        upto = min(wallet.seq, before.seq + BATCH)
        transactions = await self._transactions(reads, wallet, before, upto)
        if upto < wallet.seq:
            self._cursor = replace(before, seq=upto)
            return transactions, True
        after = Cursor(upto, asked_at)
        events = transactions + await self._changes(reads, before.at - OVERLAP, replace(before, seq=upto))
        if wallet != self._wallet or events:
            events.append(Event("balance", wallet, after))
        self._wallet, self._cursor = wallet, after
        return events, False

    def _start(self, wallet: Wallet) -> Cursor:
        if self._cursor is None or self._cursor.seq > wallet.seq:
            return Cursor(wallet.seq, clock.now())
        at = min(self._cursor.at, clock.now())
        return Cursor(max(self._cursor.seq, wallet.seq - MAX_REPLAYED), at)

    async def _transactions(self, reads: Reads, wallet: Wallet, before: Cursor, upto: int) -> list[Event]:
        count = upto - before.seq
        if count <= 0:
            return []
        # `seq` has no gaps, so this many lines up to `upto` are exactly those after the cursor.
        page = await statement.read_page(reads, wallet.account_id, limit=count, before_seq=upto + 1)
        if _newest(page) < upto:  # behind a pooler, a standby may answer what the primary was asked
            raise asyncpg.TargetServerAttributeNotMatched("a server that is behind answered in place of the primary")
        return [Event("transaction", line, replace(before, seq=line.seq)) for line in page.lines[::-1]]

    async def _changes(self, reads: Reads, since: datetime, cursor: Cursor) -> list[Event]:
        on_ramps = await recent_on_ramps(reads, owner_id=self._owner_id, since=since)
        withdrawals = await recent_withdrawals(reads, owner_id=self._owner_id, since=since)
        found: list[tuple[Name, UUID, OnRampView | RecentWithdrawal]] = [("onramp", each.id, each) for each in on_ramps]
        found += [("withdrawal", each.withdrawal.id, each) for each in withdrawals]
        events = [Event(name, each, cursor) for name, id_, each in found if self._sent.get(id_) != each]
        self._sent = {id_: each for _, id_, each in found}
        return events


def _newest(page: StatementPage) -> int:
    """The number of the newest entry that a page knows of; those before its opening balance are archived."""
    if page.lines:
        return page.lines[0].seq
    return 0 if page.opening is None else page.opening.seq
