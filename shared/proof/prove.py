"""Prove the ledger: check every rule in one snapshot and name the first rows that break it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.messages import StatementItem
from shared.db.engine import SessionMaker
from shared.proof import bank_checks, inflow_checks, seals
from shared.proof.away_checks import Tally, tallies
from shared.proof.ledger_checks import CHECKS, COUNTS, NEXT_CHUNK, Check
from shared.reconciliation.comparison import Explained

MAX_OFFENDERS = 20
"""A check names at most this many rows."""
CHUNK_ROWS = 5_000
"""Few enough that the pages of one chunk stay in Postgres's memory for all checks of it."""

Offenders = dict[str, list[Mapping[str, Any]]]
"""The rows that break each rule, by the rule's name."""
Statements = Mapping[str, Sequence[StatementItem]]
StatementSource = Callable[[], Awaitable[Statements]]
Progress = Callable[[str, int, int], None]
"""Called with what is checked, the rows done, and the rows in all."""

BEFORE_ALL = UUID(int=0)
"""Comes before every id."""
_STATEMENT_TIMEOUT = "300s"
# Every chunk is a range of an index. Postgres reuses one plan for all ranges, expects a third of the table in each, and
# would read the whole table for every chunk.
_RANGES_BY_INDEX = ("enable_seqscan = off", "enable_bitmapscan = off", "max_parallel_workers_per_gather = 0")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One rule, and the first rows that break it."""

    name: str
    offenders: Sequence[Mapping[str, Any]] = ()

    @property
    def ok(self) -> bool:
        """Whether the rule holds."""
        return not self.offenders


@dataclass(slots=True)
class ProofReport:
    """The checks and their results. `explained` are lines of a bank's statement that a running payment explains."""

    checks: list[CheckResult] = field(default_factory=list)
    explained: dict[str, list[Explained]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    snapshot_at: datetime = field(default_factory=clock.now)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every rule holds."""
        return all(check.ok for check in self.checks)

    @property
    def failed(self) -> list[CheckResult]:
        """The rules that do not hold."""
        return [check for check in self.checks if not check.ok]


def _ignore_progress(_what: str, _done: int, _total: int) -> None:
    """The default: show no progress."""


async def prove(
    sessionmaker: SessionMaker,
    *,
    statements: Statements | StatementSource | None = None,
    progress: Progress | None = None,
    rest_share: float = 0.0,
) -> ProofReport:
    """Run every check in one read-only snapshot. Takes no locks.

    After each chunk it rests for `rest_share` times as long as the chunk took, so that it leaves Postgres to others.

    `statements` are the banks' whole statements, by bank. On a running system pass a function that fetches them:
    it is called after the snapshot is taken, so that the statements contain every line of ours.
    """
    began = time.monotonic()
    report = ProofReport()
    tell = progress or _ignore_progress
    async with sessionmaker() as session:
        report.snapshot_at = await begin_snapshot(session)
        report.rows = dict((await session.execute(COUNTS)).mappings().one())
        fetched, cut = (await statements(), report.snapshot_at) if callable(statements) else (statements, None)
        of_archive = await tallies(session)
        for domain, checks in groupby((*CHECKS, *inflow_checks.CHECKS), key=lambda check: check.domain):
            tally = of_archive.get(domain)
            report.checks += await _check_domain(
                session, domain, list(checks), report.rows, tell, tally=tally, rest_share=rest_share
            )
        report.checks += [CheckResult(each.name, await each.offenders(session)) for each in of_archive.values()]
        report.checks.append(await _check_seals(session, report.rows["entries"], tell))
        for bank, items in (fetched or {}).items():
            found = await bank_checks.check_bank(session, bank, items, cut=cut)
            report.checks += [CheckResult(name, rows[:MAX_OFFENDERS]) for name, rows in found.offenders.items()]
            report.explained[bank] = found.explained
            tell(f"{bank} statement", len(items), len(items))
        await session.rollback()
    report.seconds = time.monotonic() - began
    return report


async def begin_snapshot(session: AsyncSession) -> datetime:
    """Begin the transaction and answer the time. Postgres takes the snapshot at the first query, after that time."""
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})
    await session.execute(text(f"SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}'"))
    # The transaction is idle while the banks are asked for their statements.
    await session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{_STATEMENT_TIMEOUT}'"))
    for setting in _RANGES_BY_INDEX:
        await session.execute(text(f"SET LOCAL {setting}"))
    return clock.now()


async def _check_domain(
    session: AsyncSession,
    domain: str,
    checks: Sequence[Check],
    rows: Mapping[str, int],
    tell: Progress,
    *,
    tally: Tally | None,
    rest_share: float,
) -> list[CheckResult]:
    offenders: Offenders = {check.name: [] for check in checks}
    total, done = rows.get(domain, 0), 0
    after: dict[str, Any] = _first_bound(domain)
    while True:
        began = time.monotonic()
        chunk = await _next_chunk(session, domain, after)
        if chunk is None:
            break
        await check_chunk(session, checks, chunk.bounds, offenders)
        if tally is not None:
            await tally.add(session, chunk.bounds)
        done += chunk.rows
        tell(domain.replace("_", "-"), done, total)
        if chunk.next_after is None:
            break
        after = chunk.next_after
        await asyncio.sleep((time.monotonic() - began) * rest_share)
    return [CheckResult(name, rows_found) for name, rows_found in offenders.items()]


async def check_chunk(
    session: AsyncSession, checks: Sequence[Check], bounds: Mapping[str, Any], offenders: Offenders
) -> None:
    """Add to `offenders` the rows of one chunk that break a rule, up to MAX_OFFENDERS of each rule."""
    for check in checks:
        found = offenders[check.name]
        if len(found) < MAX_OFFENDERS:
            values = {**bounds, "limit": MAX_OFFENDERS - len(found)}
            found += [dict(row) for row in (await session.execute(text(check.sql), values)).mappings()]


@dataclass(frozen=True, slots=True)
class _Chunk:
    bounds: dict[str, Any]
    next_after: dict[str, Any] | None
    rows: int


def _first_bound(domain: str) -> dict[str, Any]:
    if domain == "entries":
        return {"after_account": BEFORE_ALL, "after_seq": 0}
    return {"after": BEFORE_ALL}


async def _next_chunk(session: AsyncSession, domain: str, after: dict[str, Any]) -> _Chunk | None:
    if domain == "ledger":  # checked as a whole
        return _Chunk({}, None, 0)
    next_chunk = inflow_checks.NEXT_CHUNK if domain == "shops" else NEXT_CHUNK[domain]
    row = (await session.execute(next_chunk, {**after, "size": CHUNK_ROWS})).mappings().one_or_none()
    if row is None:
        return None
    upto = {name: value for name, value in row.items() if name != "rows"}
    return _Chunk({**after, **upto}, dict(_as_after(upto)), row["rows"])


def _as_after(upto: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name.replace("upto", "after"), value) for name, value in upto.items())


async def _check_seals(session: AsyncSession, entries: int, tell: Progress) -> CheckResult:
    done = 0

    def count(sealed: int) -> None:
        nonlocal done
        done += sealed
        tell("seals", done, entries)

    wrong = await seals.verify(session, limit=MAX_OFFENDERS, entries_done=count)
    return CheckResult("every seal still matches what it sealed", wrong)
