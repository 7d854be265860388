"""Seal the ledger: chain a hash over every entry written since the last seal.

A superuser can edit sealed rows despite the triggers; `verify` hashes them again and finds the edit. Each seal's hash
is logged: a copy kept elsewhere also shows that the chain itself was not rewritten.

What a seal hashes, its content, is text: a header, a line for each seal archived since the seal before, and a line for
each entry. The file of an archived seal is this text. What stays of such a seal in the table has a hash of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.locks import lock
from shared.models import ArchivedSeal, LedgerSeal

FIRST_PREVIOUS_HASH = "0" * 64
ENTRIES_PER_SEAL = 100_000
"""One seal covers about this many entries, always fewer than twice as many, so that it ends soon."""
_LOCK = 0x5EA1
"""The lock under which one seal is made at a time."""

_FIX_RANGES = text("""
    WITH unsealed AS (
        SELECT account.id, coalesce(last.seq, 0) + 1 AS first_seq,
               least(account.seq, coalesce(last.seq, 0) + CAST(:most AS bigint)) AS last_seq
        FROM accounts account LEFT JOIN LATERAL (
            SELECT last_seq AS seq FROM ledger_seal_ranges r WHERE r.account_id = account.id
            ORDER BY first_seq DESC LIMIT 1
        ) last ON true
        WHERE account.seq > coalesce(last.seq, 0)
    ), counted AS (
        SELECT *, sum(last_seq - first_seq + 1) OVER (ORDER BY id) AS entries_so_far FROM unsealed
    ), sealed AS (
        INSERT INTO ledger_seal_ranges (seal_id, account_id, first_seq, last_seq)
        SELECT :seal_id, id, first_seq, last_seq FROM counted
        WHERE entries_so_far - (last_seq - first_seq + 1) < CAST(:most AS bigint)
        RETURNING last_seq - first_seq + 1 AS entries
    )
    SELECT CAST(coalesce(sum(entries), 0) AS bigint) FROM sealed
""")
# A JSON array per entry is unambiguous, whatever a note contains. Both entries of a transfer seal its columns too; the
# left join makes a deleted transfer change the line instead of removing it. Postgres sends blocks of lines because
# single rows are slow; the hash does not depend on the blocks.
_TIME = """to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
OF_ENTRY = (
    f"e.account_id, e.seq, e.transfer_id, e.direction, e.amount, e.balance_after, {_TIME.format(at='e.created_at')}"
)
"""What a line says of its entry `e`."""
OF_TRANSFER = f"""
    t.kind, t.debit_account_id, t.credit_account_id, t.amount, t.currency, t.note, t.initiated_by, t.reverses,
    {_TIME.format(at="t.created_at")}
"""
"""What it says of the transfer `t`, behind that."""
_SEALED_BLOCKS = text(f"""
    SELECT string_agg(line, '' ORDER BY seq) AS lines, count(*) AS entries FROM (
        SELECT e.account_id, e.seq, CAST(json_build_array({OF_ENTRY}, {OF_TRANSFER}) AS text) || chr(10) AS line
        FROM ledger_seal_ranges r
        JOIN entries e ON e.account_id = r.account_id AND e.seq BETWEEN r.first_seq AND r.last_seq
        LEFT JOIN transfers t ON t.id = e.transfer_id
        WHERE r.seal_id = :seal_id
    ) sealed
    GROUP BY account_id, seq / 500 ORDER BY account_id, seq / 500
""")  # noqa: S608 - constants of this file
# The newest archived seal that any seal before this one covers. A seal of the version before covers none: 0.
_COVERED_BEFORE = text("SELECT coalesce(max(archives_through), 0) FROM ledger_seals WHERE id < :seal_id")
_ARCHIVED_LINES = text(f"""
    SELECT CAST(json_build_array('archived', a.seal_id, a.file_name, a.file_hash, a.entries_away, a.rest_hash,
        CAST(a.transfers_sum AS text), CAST(a.openings_sum AS text), {_TIME.format(at="a.archived_at")}
    ) AS text) || chr(10) AS line
    FROM archived_seals a WHERE a.seal_id > :after AND a.seal_id <= :through ORDER BY a.seal_id
""")  # noqa: S608 - constants of this file
_BLOCKS_AT_ONCE = 50
_BROKEN_RANGES = text("""
    SELECT account_id, seal_id, first_seq, last_seq FROM (
        SELECT r.*, lag(last_seq, 1, CAST(0 AS bigint)) OVER (PARTITION BY account_id ORDER BY first_seq) AS before
        FROM ledger_seal_ranges r
    ) ranges
    WHERE first_seq <> before + 1 ORDER BY seal_id, account_id LIMIT :limit
""")

_logger = logging.getLogger(__name__)


async def seal(session: AsyncSession) -> LedgerSeal | None:
    """Seal committed entries that have no seal; answer None when there are none. The caller commits.

    One seal covers a bounded number of entries: call again in a new transaction until the answer is None.
    A second caller waits for the transaction of the first.
    """
    await lock(session, _LOCK)
    previous = await session.scalar(select(LedgerSeal).order_by(LedgerSeal.id.desc()).limit(1))
    number = previous.id + 1 if previous else 1
    entry_count = await session.scalar(_FIX_RANGES, {"seal_id": number, "most": ENTRIES_PER_SEAL}) or 0
    if not entry_count:
        return None
    made = LedgerSeal(
        id=number,
        previous_hash=previous.hash if previous else FIRST_PREVIOUS_HASH,
        hash="",
        entry_count=entry_count,
        sealed_at=clock.now(),
        archives_through=await session.scalar(select(func.max(ArchivedSeal.seal_id))) or 0,
    )
    made.hash, hashed = await hash_of(session, made)
    if hashed != entry_count:
        raise RuntimeError(f"{entry_count} entries to seal, but {hashed} are there: run `batua prove`")
    session.add(made)
    await session.flush()
    _logger.info("ledger seal %d over %d entries: %s", made.id, made.entry_count, made.hash)
    return made


async def verify(
    session: AsyncSession, *, limit: int, entries_done: Callable[[int], None] | None = None
) -> list[Mapping[str, Any]]:
    """Hash all sealed entries again. Answers at most `limit` seals and ranges that differ."""
    wrong: list[Mapping[str, Any]] = []
    expected_previous = FIRST_PREVIOUS_HASH
    last_id = await session.scalar(select(func.max(LedgerSeal.id))) or 0
    for number in range(1, last_id + 1):
        made = await session.get(LedgerSeal, number)
        if made is None:
            wrong.append({"seal_id": number, "problem": "the seal is gone"})
        else:
            wrong += await _problems(session, made, expected_previous)
            expected_previous = made.hash
            session.expunge(made)
            if entries_done is not None:
                entries_done(made.entry_count)
        if len(wrong) >= limit:
            return wrong[:limit]
    broken = (await session.execute(_BROKEN_RANGES, {"limit": limit})).mappings()
    wrong += [{**row, "problem": "the range does not follow the one before"} for row in broken]
    return wrong[:limit]


async def _problems(session: AsyncSession, made: LedgerSeal, expected_previous: str) -> list[Mapping[str, Any]]:
    problems: list[str] = []
    if made.previous_hash != expected_previous:
        problems.append("the chain is broken: the seal before it has another hash")
    archived = await session.get(ArchivedSeal, made.id)
    left, expected = made.entry_count, made.hash
    if archived is not None:
        left, expected = made.entry_count - archived.entries_away, archived.rest_hash
        session.expunge(archived)
    digest, count = await hash_of(session, made)
    if count != left:
        problems.append(f"{left} entries were sealed and not archived, {count} are there")
    elif digest != expected:
        problems.append("a sealed entry or its transfer was changed, or what was noted of an archived seal")
    return [{"seal_id": made.id, "sealed_at": made.sealed_at, "problem": problem} for problem in problems]


async def hash_of(session: AsyncSession, made: LedgerSeal) -> tuple[str, int]:
    """The hash of what the seal covers and is in the table, and how many entries that are."""
    digest, count = hashlib.sha256(), 0
    async for part, entries in content(session, made):
        digest.update(part)
        count += entries
    return digest.hexdigest(), count


async def content(session: AsyncSession, made: LedgerSeal) -> AsyncIterator[tuple[bytes, int]]:
    """What the seal hashes, as far as it is in the table: parts of it in order, each with its number of entries."""
    yield _header(made.id, made.previous_hash, made.entry_count, made.sealed_at), 0
    if made.archives_through:
        after = await session.scalar(_COVERED_BEFORE, {"seal_id": made.id})
        for line in await session.scalars(_ARCHIVED_LINES, {"after": after, "through": made.archives_through}):
            yield line.encode(), 0
    blocks = await session.stream(
        _SEALED_BLOCKS, {"seal_id": made.id}, execution_options={"yield_per": _BLOCKS_AT_ONCE}
    )
    async for lines, entries in blocks:
        yield lines.encode(), entries


def _header(number: int, previous_hash: str, entry_count: int, sealed_at: datetime) -> bytes:
    at = sealed_at.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps([number, previous_hash, entry_count, at]).encode() + b"\n"
