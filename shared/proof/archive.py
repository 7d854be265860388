"""Archive old entries: seal by seal, in order, into a file for each, behind opening balances.

The file's content is what the seal hashed, so that a file is proven by the chain of seals. Only entries of wallets and
shops go: the platform's own accounts are compared with the banks line by line, and a pot is closed by what it paid.

No row that a payment locks is touched: entries are never changed, and what goes is a year old. A process that dies
leaves the entries, perhaps with their file; or the file with the opening balances.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.engine import SessionMaker
from shared.db.locks import lock
from shared.models import ArchivedSeal, LedgerSeal, ProofRun
from shared.proof import archive_files, runs, seals
from shared.proof.away_checks import OPENING_DIGEST, TRANSFER_DIGEST
from shared.proof.errors import NotProven, NotSchemasOwner, RollUpsBehind, SealDiffers, TooRecent

KEPT_FOR = timedelta(days=366)
"""The database itself refuses what was sealed within a year."""
PROVEN_WITHIN = timedelta(days=2)
"""A whole proof that passed must have begun no longer ago."""
_LOCK = 0x5EA2
"""The lock under which one seal is archived at a time."""
# Each row is found by its key, however Postgres estimates the tables.
_BY_KEY = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")

_IS_OWNER = text("SELECT pg_has_role(session_user, relowner, 'MEMBER') FROM pg_class WHERE oid = 'entries'::regclass")
_SPANS = """
    SELECT span.account_id, span.first_seq, span.last_seq FROM ledger_seal_ranges AS span
    JOIN accounts AS account ON account.id = span.account_id AND account.kind IN ('wallet', 'merchant')
    WHERE span.seal_id = :seal_id
"""
_BEHIND = text("""
    SELECT span.account_id FROM ledger_seal_ranges AS span
    JOIN accounts AS account ON account.id = span.account_id AND account.kind = 'merchant'
    LEFT JOIN inflow_watermarks AS mark ON mark.account_id = span.account_id
    WHERE span.seal_id = :seal_id AND coalesce(mark.seq, 0) < span.last_seq LIMIT 1
""")
_OPENINGS_SUM = text(f"""
    SELECT coalesce(sum({OPENING_DIGEST}), 0)
    FROM ledger_seal_ranges AS span JOIN opening_balances AS o ON o.account_id = span.account_id
    WHERE span.seal_id = :seal_id
""")  # noqa: S608 - constants of this file
_TRANSFERS_SUM = text(f"""
    SELECT coalesce(sum({TRANSFER_DIGEST.format(direction="e.direction")}), 0) FROM ({_SPANS}) AS span
    JOIN entries AS e ON e.account_id = span.account_id AND e.seq BETWEEN span.first_seq AND span.last_seq
    JOIN transfers AS t ON t.id = e.transfer_id
""")  # noqa: S608 - constants of this file
# A trigger of the table takes all else from the entries, and refuses what does not follow.
_MOVE_OPENINGS = text(f"""
    UPDATE opening_balances AS opening SET seq = span.last_seq, seal_id = :seal_id FROM ({_SPANS}) AS span
    WHERE opening.account_id = span.account_id
""")  # noqa: S608 - constants of this file
_ADD_OPENINGS = text(f"""
    INSERT INTO opening_balances (account_id, seq, seal_id)
    SELECT account_id, last_seq, :seal_id FROM ({_SPANS}) AS span WHERE first_seq = 1
""")  # noqa: S608 - constants of this file
_DELETE = text(f"""
    DELETE FROM entries USING ({_SPANS}) AS span
    WHERE entries.account_id = span.account_id AND entries.seq BETWEEN span.first_seq AND span.last_seq
""")  # noqa: S608 - constants of this file

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Archived:
    """One seal whose entries are away now."""

    seal_id: int
    file_name: str
    entries: int


async def require_allowed(session: AsyncSession, before: datetime) -> None:
    """Raises NotSchemasOwner, TooRecent, NotProven."""
    if not await session.scalar(_IS_OWNER):
        raise NotSchemasOwner
    latest = clock.now() - KEPT_FOR
    if before > latest:
        raise TooRecent(latest)
    newest = select(ProofRun).where(ProofRun.kind == "whole", ProofRun.finished_at.is_not(None))
    proven = await session.scalar(newest.order_by(ProofRun.started_at.desc()).limit(1))
    is_late = proven is None or proven.started_at < clock.now() - PROVEN_WITHIN
    if proven is None or is_late or proven.result != "passed" or await runs.standing(session):
        raise NotProven


async def to_archive(session: AsyncSession, before: datetime) -> tuple[int, int]:
    """How many seals are archived already, and how many more were made before this moment."""
    done = await session.scalar(select(func.count()).select_from(ArchivedSeal)) or 0
    older = select(func.count()).select_from(LedgerSeal).where(LedgerSeal.id > done, LedgerSeal.sealed_at < before)
    return done, await session.scalar(older) or 0


async def archive(sessionmaker: SessionMaker, directory: Path, *, before: datetime) -> AsyncIterator[Archived]:
    """Archive every seal that was made before this moment, and answer each.

    Raises RollUpsBehind, SealDiffers, FileDiffers; what was archived until then stays so.
    """
    while (done := await archive_next(sessionmaker, directory, before=before)) is not None:
        yield done


async def archive_next(sessionmaker: SessionMaker, directory: Path, *, before: datetime) -> Archived | None:
    """Archive the next seal; None if it was not made before this moment. Raises as `archive` does."""
    async with sessionmaker() as session:
        await lock(session, _LOCK)  # no other process writes this file meanwhile
        made = await _next(session)
        if made is None or made.sealed_at >= before:
            return None
        if (behind := await session.scalar(_BEHIND, {"seal_id": made.id})) is not None:
            raise RollUpsBehind(str(behind))
        path = directory / archive_files.name_of(made.id)
        if not path.exists():
            await archive_files.write(path, seals.content(session, made), expected_hash=made.hash)
    archive_files.keep(path)
    archive_files.require_content(path, made.hash)
    file_hash = archive_files.hash_of(path)
    async with sessionmaker.begin() as session:
        entries = await _let_go(session, made.id, path.name, file_hash)
    if entries is None:  # another process was faster
        return await archive_next(sessionmaker, directory, before=before)
    _logger.info("ledger seal %d archived: %d entries in %s, %s", made.id, entries, path.name, file_hash)
    return Archived(made.id, path.name, entries)


async def _next(session: AsyncSession) -> LedgerSeal | None:
    last = await session.scalar(select(func.max(ArchivedSeal.seal_id))) or 0
    return await session.get(LedgerSeal, last + 1)


async def _let_go(session: AsyncSession, seal_id: int, file_name: str, file_hash: str) -> int | None:
    """Open the accounts behind the seal and delete its entries, in this transaction. None: that was done before."""
    await lock(session, _LOCK)
    made = await _next(session)
    if made is None or made.id != seal_id:
        return None
    for setting in _BY_KEY:
        await session.execute(text(f"SET LOCAL {setting} = off"))
    digest, _ = await seals.hash_of(session, made)
    if digest != made.hash:  # edited since the file was written
        raise SealDiffers(file_name)
    of_seal = {"seal_id": seal_id}
    openings_before = await session.scalar(_OPENINGS_SUM, of_seal)
    transfers_sum = await session.scalar(_TRANSFERS_SUM, of_seal)
    await session.execute(_MOVE_OPENINGS, of_seal)
    await session.execute(_ADD_OPENINGS, of_seal)
    openings_after = await session.scalar(_OPENINGS_SUM, of_seal)
    entries = int(getattr(await session.execute(_DELETE, of_seal), "rowcount", 0))
    rest_hash, left = await seals.hash_of(session, made)
    if entries + left != made.entry_count:
        raise RuntimeError(f"seal {seal_id} has {made.entry_count} entries, {entries} went and {left} stay")
    total = await session.scalar(select(ArchivedSeal.openings_sum).where(ArchivedSeal.seal_id == seal_id - 1)) or 0
    # As integers: the sums have more digits than Python's decimals add up.
    total = int(total) - int(openings_before) + int(openings_after)
    session.add(
        ArchivedSeal(
            seal_id=seal_id,
            file_name=file_name,
            file_hash=file_hash,
            entries_away=entries,
            rest_hash=rest_hash,
            transfers_sum=transfers_sum,
            openings_sum=Decimal(total),
            archived_at=clock.now(),
        )
    )
    return entries
