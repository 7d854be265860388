"""Read an account's history. A page walks `(account_id, seq)` backwards: its cost does not depend on the history's
length.

Nothing here locks or writes. Amounts are paise, times are UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker
from shared.ledger import parties
from shared.ledger.errors import AccountNotFound
from shared.ledger.parties import Party
from shared.ledger.rules import Direction, TransferKind
from shared.models import Account, Entry, Transfer

SCAN_LINES = 20_000
"""One page of a statement filtered by direction or kind reads at most this many lines."""
SEARCH_LINES = 2_000
"""One page of a search reads at most this many: of each line it looks up who the other side is."""
CHUNK_LINES = 1_000
CLOCK_SKEW = timedelta(seconds=5)
"""Entries are numbered under a lock but dated by several machines, whose clocks may differ by this much."""


@dataclass(frozen=True, slots=True)
class Line:
    """One movement as the account's owner reads it."""

    transfer_id: UUID
    seq: int
    direction: Direction
    kind: TransferKind
    amount: int
    balance_after: int
    counterparty: Party
    note: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines to read. `since` and `until` are included; `search` is a part of a note, name or wallet id."""

    direction: Direction | None = None
    kind: TransferKind | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None

    @property
    def most_lines(self) -> int | None:
        """How many lines one page may read, most of which may not match; None if all match."""
        if self.search:
            return SEARCH_LINES
        return SCAN_LINES if self.direction is not None or self.kind is not None else None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines, newest first. `next_before` is the next page's `before_seq`, None on the last page.

    A filtered page may be short or empty and still have a next page.
    """

    lines: list[Line]
    next_before: int | None


EVERYTHING = Filter()


async def read_page(
    session: AsyncSession,
    account_id: UUID,
    *,
    limit: int,
    before_seq: int | None = None,
    wanted: Filter = EVERYTHING,
) -> StatementPage:
    """Read at most `limit` lines older than `before_seq`, newest first. Raises AccountNotFound.

    `seq` has no gaps, so a range of it is a number of lines: a filtered page reads at most SCAN_LINES, or SEARCH_LINES.
    """
    account = await session.get(Account, account_id)
    if account is None:
        raise AccountNotFound
    highest, lowest = await _bounds(session, account, before_seq, wanted)
    most = wanted.most_lines
    window = lowest if most is None else max(lowest, highest - most + 1)
    statement = (
        _lines_of(account_id)
        .where(Entry.seq.between(window, highest), *_conditions(wanted))
        .order_by(Entry.seq.desc())
        .limit(limit + 1)
    )
    rows = (await session.execute(statement)).all()
    lines = [_line(row, account.owner_id) for row in rows[:limit]]
    if len(rows) > limit:
        return StatementPage(lines, lines[-1].seq)
    return StatementPage(lines, window if window > lowest else None)


async def stream(
    sessionmaker: SessionMaker, account_id: UUID, *, wanted: Filter = EVERYTHING, chunk: int = CHUNK_LINES
) -> AsyncIterator[Line]:
    """Read every matching line that exists at the start, newest first, with one chunk in memory at a time.

    Each chunk has its own short transaction. Lines never change, so a slow reader sees the same lines as in one
    long transaction, and holds no connection meanwhile.
    """
    before_seq: int | None = None
    while True:
        async with sessionmaker() as session:
            part = await read_page(session, account_id, limit=chunk, before_seq=before_seq, wanted=wanted)
        for line in part.lines:
            yield line
        if part.next_before is None:
            return
        before_seq = part.next_before


async def balance_at(session: AsyncSession, account_id: UUID, at: datetime) -> int:
    """Paise on the account at that moment, entries of that moment included. Costs one index probe."""
    statement = (
        select(Entry.balance_after)
        .where(Entry.account_id == account_id, Entry.created_at <= at)
        .order_by(Entry.created_at.desc(), Entry.seq.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none() or 0


async def derived_balance(session: AsyncSession, account_id: UUID, at: datetime | None = None) -> int:
    """Paise as the sum of all entries (up to `at`), without any cached number. Reads the whole history."""
    signed = case((Entry.direction == "CREDIT", Entry.amount), else_=-Entry.amount)
    statement = select(func.coalesce(func.sum(signed), 0)).where(Entry.account_id == account_id)
    if at is not None:
        statement = statement.where(Entry.created_at <= at)
    return int((await session.execute(statement)).scalar_one())


async def _bounds(session: AsyncSession, account: Account, before_seq: int | None, wanted: Filter) -> tuple[int, int]:
    """The highest and the lowest `seq` of lines that can match."""
    highest = account.seq if before_seq is None else min(account.seq, before_seq - 1)
    lowest = 1
    if wanted.until is not None:
        earlier = Entry.created_at <= wanted.until + CLOCK_SKEW
        highest = min(highest, await _probe(session, account.id, earlier, newest=True) or 0)
    if wanted.since is not None:
        later = Entry.created_at >= wanted.since - CLOCK_SKEW
        lowest = await _probe(session, account.id, later, newest=False) or account.seq + 1
    return highest, lowest


async def _probe(
    session: AsyncSession, account_id: UUID, condition: ColumnElement[bool], *, newest: bool
) -> int | None:
    order = (Entry.created_at.desc(), Entry.seq.desc()) if newest else (Entry.created_at, Entry.seq)
    statement = select(Entry.seq).where(Entry.account_id == account_id, condition).order_by(*order).limit(1)
    return (await session.execute(statement)).scalar_one_or_none()


def _lines_of(account_id: UUID) -> Select[Any]:
    other_id = case(
        (Transfer.debit_account_id == account_id, Transfer.credit_account_id), else_=Transfer.debit_account_id
    )
    statement = (
        select(Entry.seq, Entry.direction, Entry.amount, Entry.balance_after, Entry.created_at)
        .add_columns(Transfer.id.label("transfer_id"), Transfer.kind, Transfer.note)
        .select_from(Entry)
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .join(parties.account, parties.account.id == other_id)
        .where(Entry.account_id == account_id)
    )
    return parties.with_owner(statement)


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.direction is not None:
        conditions.append(Entry.direction == wanted.direction)
    if wanted.kind is not None:
        conditions.append(Transfer.kind == wanted.kind)
    if wanted.since is not None:
        conditions.append(Entry.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(Entry.created_at <= wanted.until)
    if wanted.search:
        found_in = (Transfer.note, parties.owner_name, parties.system_name, parties.wallet_id)
        conditions.append(or_(*(column.icontains(wanted.search, autoescape=True) for column in found_in)))
    return conditions


def _line(row: Any, owner_id: UUID | None) -> Line:
    return Line(
        transfer_id=row.transfer_id,
        seq=row.seq,
        direction=row.direction,
        kind=row.kind,
        amount=row.amount,
        balance_after=row.balance_after,
        counterparty=parties.holder_from(row).seen_by(owner_id),
        note=row.note,
        created_at=row.created_at,
    )
