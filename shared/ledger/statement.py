"""Read an account's history. A page walks `(account_id, seq)` backwards: its cost does not depend on the history's
length.

Nothing here locks or writes. Amounts are paise, times are UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.reads import Reads, Row, Source, fetch
from shared.ledger import system_accounts
from shared.ledger.errors import AccountNotFound, HistoryArchived
from shared.ledger.openings import Opening
from shared.ledger.parties import HOLDER_COLUMNS, Holder, Party
from shared.ledger.rules import Direction, TransferKind
from shared.models import Account

SCAN_LINES = 20_000
"""One page of a statement filtered by direction or kind reads at most this many lines."""
SEARCH_LINES = 2_000
"""One page of a search reads at most this many: of each line it looks up who the other side is."""
CHUNK_LINES = 1_000
CLOCK_SKEW = timedelta(seconds=5)
"""Entries are numbered under a lock but dated by several machines, whose clocks may differ by this much."""


class Line(NamedTuple):
    """One movement as the account's owner reads it. A page makes many: tuples take a fifth of a dataclass's time."""

    transfer_id: UUID
    seq: int
    direction: Direction
    kind: TransferKind
    amount: int
    balance_after: int
    counterparty: Party
    note: str | None
    created_at: datetime
    given_back: int | None = None
    """How much of a payment that was received was refunded since; None for any other line, which has no refunds."""

    @property
    def refundable(self) -> int | None:
        """What can still be refunded; None unless the line is a payment received."""
        return None if self.given_back is None else self.amount - self.given_back


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines to read. `since` and `until` are included; `search` is a part of a note, name or wallet id, in
    any case, with or without its accents.
    """

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

    @property
    def of_entries(self) -> tuple[Any, ...]:
        """What entries alone can be asked: the parameters $5 to $9 of POSSIBLE_LINES and IS_OF_FILTER."""
        earliest = None if self.since is None else self.since - CLOCK_SKEW
        latest = None if self.until is None else self.until + CLOCK_SKEW
        return earliest, latest, self.since, self.until, self.direction


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Lines, newest first. `next_before` is the next page's `before_seq`, None on the last page.

    A filtered page may be short or empty and still have a next page. The last one has the `opening` balance where
    earlier lines, of which some might match, are archived.
    """

    lines: list[Line]
    next_before: int | None
    opening: Opening | None = None


@dataclass(frozen=True, slots=True)
class FoundRows:
    """A StatementPage whose lines are rows of LINE_COLUMNS; `reader` owns the account."""

    rows: Sequence[Row]
    reader: UUID | None
    next_before: int | None
    opening: Opening | None


EVERYTHING = Filter()
LAST_SEQ = 2**63 - 1
"""Comes after every line."""

REFUNDED = """
    CASE WHEN transfer.kind = 'payment' AND entry.direction = 'CREDIT'
        THEN coalesce((SELECT reversed FROM reversed_totals WHERE transfer_id = entry.transfer_id), 0) END
"""
"""How much was refunded of a line with LINE_JOINS; NULL unless it is a payment that was received."""
LINE_COLUMNS = f"""
    entry.transfer_id, entry.seq, entry.direction, transfer.kind, entry.amount, entry.balance_after, transfer.note,
    entry.created_at, {REFUNDED}, told.id, told.owner_id, told.kind, told.name, told.handle, told.owner_name
"""
"""What a statement selects for `line_from`, of entries with LINE_JOINS."""
SEQ = 1
"""The place of `seq` among them."""
_OTHER = HOLDER_COLUMNS.format(account="other")
# The inner queries end with OFFSET, so that Postgres can only walk from each entry to its rows by their keys, whatever
# it believes of the sizes of tables.
LINE_JOINS = f"""
    CROSS JOIN LATERAL (
        SELECT id, kind, note, debit_account_id, credit_account_id FROM transfers
        WHERE id = entry.transfer_id {{condition}} OFFSET 0
    ) transfer
    CROSS JOIN LATERAL (
        SELECT {_OTHER},
               coalesce((SELECT search FROM users WHERE id = other.owner_id),
                        (SELECT search FROM merchants WHERE id = other.owner_id))
        FROM accounts other
        WHERE other.id = CASE transfer.debit_account_id
            WHEN entry.account_id THEN transfer.credit_account_id ELSE transfer.debit_account_id END
        OFFSET 0
    ) told (id, owner_id, kind, name, handle, owner_name, search)
"""  # noqa: S608 - constants of this code
_HAS_PAID = text("""
    SELECT EXISTS (
        SELECT FROM (
            SELECT transfer_id FROM entries
            WHERE account_id = :account_id AND seq > :before AND direction = 'DEBIT' ORDER BY seq DESC OFFSET 0
        ) entry
        CROSS JOIN LATERAL (SELECT credit_account_id FROM transfers WHERE id = entry.transfer_id OFFSET 0) transfer
        WHERE transfer.credit_account_id = (SELECT id FROM accounts WHERE handle = :wallet_id)
    )
""")
# One statement, one snapshot: what is archived meanwhile counts once. Of a moment before the opening balance it tells
# when the account was opened.
_FROM_OPENING = """
    opening.last_entry_at,
    CASE WHEN $2 < opening.last_entry_at THEN (SELECT created_at FROM accounts WHERE id = asked.account_id) END
    FROM (SELECT $1::uuid) AS asked (account_id)
    LEFT JOIN opening_balances opening ON opening.account_id = asked.account_id
"""
_BALANCE_AT = f"""
    SELECT coalesce((
        SELECT balance_after FROM entries WHERE account_id = asked.account_id AND created_at <= $2::timestamptz
        ORDER BY created_at DESC, seq DESC LIMIT 1
    ), opening.balance, 0), {_FROM_OPENING}
"""  # noqa: S608 - constants of this code
_DERIVED = f"""
    SELECT coalesce(opening.balance, 0) + coalesce((
        SELECT sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) FROM entries
        WHERE account_id = asked.account_id AND ($2::timestamptz IS NULL OR created_at <= $2)
    ), 0), {_FROM_OPENING}
"""  # noqa: S608 - constants of this code
_SYSTEM_NAME = system_accounts.NAME_OF_ID.format(id="told.id")
_PROBE = "SELECT seq FROM entries WHERE account_id = account.id AND"
_SOUGHT = "(SELECT text FROM sought)"
_PLACE = 6
POSSIBLE_LINES = f"""
    account AS MATERIALIZED (
        SELECT id, owner_id, seq, opening.* FROM accounts LEFT JOIN LATERAL (
            SELECT seq, balance, last_entry_at FROM opening_balances WHERE account_id = accounts.id OFFSET 0
        ) opening (opening_seq, opening_balance, archived_until) ON true
        WHERE id = $1 AND ($2::uuid IS NULL OR owner_id = $2)
    ), possible AS MATERIALIZED (
        SELECT account.*,
               least(account.seq, $3::bigint - 1, CASE WHEN $6::timestamptz IS NOT NULL THEN coalesce(
                   ({_PROBE} created_at <= $6 ORDER BY created_at DESC, seq DESC LIMIT 1), 0) END) AS highest,
               CASE WHEN $5::timestamptz IS NULL THEN coalesce(account.opening_seq, 0) + 1 ELSE coalesce(
                   ({_PROBE} created_at >= $5 ORDER BY created_at, seq LIMIT 1), account.seq + 1) END AS lowest,
               coalesce($5 <= account.archived_until, account.opening_seq IS NOT NULL) AS is_archived
        FROM account
    )
"""  # noqa: S608 - constants of this code
"""The range of `seq` that can hold a filter's lines, found by the index, and whether earlier ones that are archived can
too. Days are widened by CLOCK_SKEW.
"""
IS_OF_FILTER = """
    ($7::timestamptz IS NULL OR created_at >= $7) AND ($8::timestamptz IS NULL OR created_at <= $8)
    AND ($9::text IS NULL OR direction = $9)
"""
"""What a filter says of an entry."""
SOUGHT_TEXT = "sought AS MATERIALIZED (SELECT search_fold($11) AS text)"
IS_FOUND = f"""
    ($11::text IS NULL OR strpos(told.search, {_SOUGHT}) > 0 OR strpos(told.handle, {_SOUGHT}) > 0
     OR strpos(search_fold({_SYSTEM_NAME}), {_SOUGHT}) > 0
     OR strpos(search_fold(transfer.note), {_SOUGHT}) > 0)
"""
"""What a search says of an entry with LINE_JOINS."""
IS_OF_KIND = "AND ($10::text IS NULL OR kind = $10)"
_PAGE = f"""
    WITH {POSSIBLE_LINES}, {SOUGHT_TEXT}, part AS MATERIALIZED (
        SELECT *, greatest(lowest, highest - $4::bigint + 1) AS first FROM possible
    )
    SELECT part.lowest, part.first, part.owner_id,
           CASE WHEN part.is_archived THEN part.opening_seq END, part.opening_balance, part.archived_until, line.*
    FROM part LEFT JOIN LATERAL (
        SELECT {LINE_COLUMNS}
        FROM (
            SELECT * FROM entries
            WHERE account_id = part.id AND seq BETWEEN part.first AND part.highest
              AND {IS_OF_FILTER}
            ORDER BY seq DESC OFFSET 0
        ) entry
        {LINE_JOINS.format(condition=IS_OF_KIND)}
        WHERE {IS_FOUND}
        ORDER BY entry.seq DESC LIMIT $12
    ) line ON true
    ORDER BY line.seq DESC
"""  # noqa: S608 - constants of this code


async def read_page(
    source: Source,
    account_id: UUID,
    *,
    limit: int,
    owner_id: UUID | None = None,
    before_seq: int | None = None,
    wanted: Filter = EVERYTHING,
) -> StatementPage:
    """Read at most `limit` lines older than `before_seq`, newest first.

    Raises AccountNotFound; with an `owner_id` also for an account of another owner. `seq` has no gaps, so a range of it
    is a number of lines: a filtered page reads at most SCAN_LINES, or SEARCH_LINES.
    """
    found = await read_rows(source, account_id, limit=limit, owner_id=owner_id, before_seq=before_seq, wanted=wanted)
    return StatementPage([line_from(row, found.reader) for row in found.rows], found.next_before, found.opening)


async def read_rows(
    source: Source, account_id: UUID, *, limit: int, owner_id: UUID | None, before_seq: int | None, wanted: Filter
) -> FoundRows:
    """The same as rows of LINE_COLUMNS, for those who write many of them."""
    rows = await fetch(
        source,
        _PAGE,
        account_id,
        owner_id,
        LAST_SEQ if before_seq is None else before_seq,
        LAST_SEQ if wanted.most_lines is None else wanted.most_lines,
        *wanted.of_entries,
        wanted.kind,
        wanted.search or None,
        limit + 1,
    )
    if not rows:
        raise AccountNotFound
    lowest, first, reader, *opening = rows[0][:_PLACE]
    lines = [row[_PLACE:] for row in rows[:limit] if row[_PLACE] is not None]
    if len(rows) > limit:
        return FoundRows(lines, reader, lines[-1][SEQ], None)
    if first > lowest:
        return FoundRows(lines, reader, first, None)
    return FoundRows(lines, reader, None, None if opening[0] is None else Opening(*opening))


async def stream(
    reads: Reads, account_id: UUID, *, wanted: Filter = EVERYTHING, chunk: int = CHUNK_LINES
) -> AsyncIterator[Line | Opening]:
    """Read every matching line that exists at the start, newest first, with one chunk in memory at a time. Then comes
    the opening balance, where earlier lines are archived.

    Each chunk is one statement. Lines never change, so a slow reader sees the same lines as in one long transaction,
    and holds no connection meanwhile. What is archived meanwhile is left out, and the opening balance says so.
    """
    before_seq: int | None = None
    oldest: Line | None = None
    while True:
        part = await read_page(reads, account_id, limit=chunk, before_seq=before_seq, wanted=wanted)
        for line in part.lines:
            yield line
            oldest = line
        if part.next_before is None:
            break
        before_seq = part.next_before
    if part.opening is not None:
        yield _before(oldest, part.opening) if oldest is not None and wanted == EVERYTHING else part.opening


def _before(line: Line, opening: Opening) -> Opening:
    """The opening balance right before the oldest line that was read: a later one was made while lines were read."""
    if line.seq > opening.seq:
        return opening
    change = line.amount if line.direction == "CREDIT" else -line.amount
    return Opening(line.seq - 1, line.balance_after - change, line.created_at)


async def has_paid(session: AsyncSession, account: Account, wallet_id: str) -> bool:
    """Whether the account has sent money to this wallet id, by its newest SEARCH_LINES lines."""
    asked = {"account_id": account.id, "before": account.seq - SEARCH_LINES, "wallet_id": wallet_id}
    return bool((await session.execute(_HAS_PAID, asked)).scalar_one())


async def balance_at(source: Source, account_id: UUID, at: datetime) -> int:
    """Paise on the account at that moment, entries of that moment included. Costs one index probe.

    Raises HistoryArchived for a moment before the opening balance.
    """
    return _known(await fetch(source, _BALANCE_AT, account_id, at), at)


async def derived_balance(source: Source, account_id: UUID, at: datetime | None = None) -> int:
    """Paise as the opening balance and the sum of all entries (up to `at`), without any other stored number. Reads the
    whole history. Raises HistoryArchived as `balance_at` does.
    """
    return _known(await fetch(source, _DERIVED, account_id, at), at)


def _known(rows: Sequence[Row], at: datetime | None) -> int:
    ((balance, archived_until, created_at),) = rows
    if at is None or archived_until is None or at >= archived_until:
        return int(balance)
    if created_at is not None and at < created_at:  # before there was an account
        return 0
    raise HistoryArchived(archived_until)


def line_from(row: Row, reader: UUID | None) -> Line:
    """A row of LINE_COLUMNS as the account's owner `reader` sees it."""
    transfer_id, seq, direction, kind, amount, balance_after, note, created_at, given_back, *holder = row
    other = Holder(*holder).seen_by(reader)
    return Line(transfer_id, seq, direction, kind, amount, balance_after, other, note, created_at, given_back)
