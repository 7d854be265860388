"""The quick proof: check what is new since the last good run, and what money is about to leave.

It checks, in one read-only snapshot, without locks: every transfer since then with its entries, and each entry with the
one before it; the accounts they touched; every account with an active hold, and the withdrawal behind each; and some
further accounts, so that all get their turn. What it reads grows with what is new and what is under way, never with
history: an edit of old history is for the whole proof to find.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker
from shared.ids import smallest_id
from shared.proof import prove
from shared.proof.ledger_checks import NEXT_CHUNK
from shared.proof.prove import BEFORE_ALL, CheckResult, Offenders, ProofReport, begin_snapshot, check_chunk
from shared.proof.quick_checks import (
    NEXT_ACCOUNTS,
    NEXT_WITH_HOLDS,
    OF_ACCOUNTS,
    OF_TRANSFERS,
    TOUCHED_BY_TRANSFERS,
)

SECONDS = 60.0
"""After this time a run begins no further chunk of transfers. The next run goes on from there."""
ACCOUNTS_IN_TURN = 2_000
"""Accounts that each run looks at beyond those that were touched."""
LATE_COMMIT = timedelta(seconds=60)
"""A transfer is committed at most this long after its id was made: a batch waits for 20 s, then for locks for 10 s, and
clocks differ a little. So far back, each run checks again."""
REST_SHARE = 3.0
"""After each chunk it rests three times as long as the chunk took: a quarter of a core of Postgres at most."""

_BY_KEY = ("enable_hashjoin = off", "enable_mergejoin = off")


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a run begins: behind these ids. `named` are accounts that a failure which still stands has named."""

    transfers_after: UUID = BEFORE_ALL
    accounts_after: UUID = BEFORE_ALL
    named: Sequence[UUID] = ()


@dataclass(slots=True)
class QuickReport:
    """What a quick run found, and how far it came."""

    proof: ProofReport = field(default_factory=ProofReport)
    seen_through: UUID = BEFORE_ALL
    """The last transfer it looked at."""
    accounts_through: UUID = BEFORE_ALL
    """The last account whose turn it was; BEFORE_ALL: begin again with the first."""

    @property
    def transfers_through(self) -> UUID:
        """Behind this transfer the next run may begin: no older one can still be committed."""
        return min(self.seen_through, safe_through(self.proof.snapshot_at))


def safe_through(snapshot_at: datetime) -> UUID:
    """Every transfer with a smaller id was in the snapshot, or never will be in any."""
    return smallest_id(snapshot_at - LATE_COMMIT)


async def prove_new(
    sessionmaker: SessionMaker, beginning: Beginning, *, seconds: float = SECONDS, rest_share: float = REST_SHARE
) -> QuickReport:
    """Check what is new, for about so many seconds at most."""
    async with sessionmaker() as session:
        report = await check_new(session, beginning, seconds=seconds, rest_share=rest_share)
        await session.rollback()
    return report


async def check_new(
    session: AsyncSession, beginning: Beginning, *, seconds: float = SECONDS, rest_share: float = 0.0
) -> QuickReport:
    """The same in a session whose transaction has not begun."""
    began = time.monotonic()
    report = QuickReport(seen_through=beginning.transfers_after)
    report.proof.snapshot_at = await begin_snapshot(session)
    for setting in _BY_KEY:
        await session.execute(text(f"SET LOCAL {setting}"))
    offenders: Offenders = {check.name: [] for check in (*OF_ACCOUNTS, *OF_TRANSFERS)}
    if beginning.named:
        await _check_accounts(session, beginning.named, offenders)
    await _check_accounts_with_holds(session, offenders, rest_share)
    report.accounts_through = await _check_turn(session, beginning.accounts_after, offenders)
    transfers = 0
    while time.monotonic() - began < seconds:
        chunk_began = time.monotonic()
        read = await _check_transfers(session, report.seen_through, offenders)
        if read is None:
            break
        report.seen_through, rows = read
        transfers += rows
        await asyncio.sleep((time.monotonic() - chunk_began) * rest_share)
    report.proof.checks = [CheckResult(name, rows) for name, rows in offenders.items()]
    report.proof.rows = {"transfers": transfers}
    report.proof.seconds = time.monotonic() - began
    return report


async def _check_transfers(session: AsyncSession, after: UUID, offenders: Offenders) -> tuple[UUID, int] | None:
    """Check the next chunk of transfers and the accounts they touched. Answers its last id and how many they were."""
    values = {"after": after, "size": prove.CHUNK_ROWS}
    chunk = (await session.execute(NEXT_CHUNK["transfers"], values)).one_or_none()
    if chunk is None:
        return None
    bounds = {"after": after, "upto": chunk.upto}
    await check_chunk(session, OF_TRANSFERS, bounds, offenders)
    await _check_accounts(session, await session.scalar(TOUCHED_BY_TRANSFERS, bounds) or (), offenders)
    return chunk.upto, chunk.rows


async def _check_accounts_with_holds(session: AsyncSession, offenders: Offenders, rest_share: float) -> None:
    after = BEFORE_ALL
    while True:
        began = time.monotonic()
        account_ids = await session.scalar(NEXT_WITH_HOLDS, {"after": after, "size": prove.CHUNK_ROWS})
        if not account_ids:
            return
        await _check_accounts(session, account_ids, offenders)
        after = account_ids[-1]
        await asyncio.sleep((time.monotonic() - began) * rest_share)


async def _check_turn(session: AsyncSession, after: UUID, offenders: Offenders) -> UUID:
    account_ids = await session.scalar(NEXT_ACCOUNTS, {"after": after, "size": ACCOUNTS_IN_TURN}) or []
    await _check_accounts(session, account_ids, offenders)
    return account_ids[-1] if len(account_ids) == ACCOUNTS_IN_TURN else BEFORE_ALL


async def _check_accounts(session: AsyncSession, account_ids: Sequence[UUID], offenders: Offenders) -> None:
    await check_chunk(session, OF_ACCOUNTS, {"account_ids": list(account_ids)}, offenders)
