"""Runs of the proof, recorded: while a failure stands, no payout leaves.

A failure stands until a later run that looked at the same rows, or more, has finished: a whole run settles every
failure (that of a comparison with banks only when it compared the same banks), a quick run only that of a quick run.
Such a run may fail in turn, and then stands instead. A run that never finished settles nothing and stops nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.engine import SessionMaker
from shared.db.locks import try_lock
from shared.ids import new_id
from shared.models import ProofRun
from shared.models.proof_run import STANDS
from shared.proof.prove import BEFORE_ALL, CheckResult, ProofReport
from shared.proof.quick import Beginning, QuickReport, safe_through

Kind = Literal["quick", "whole"]

ROWS_KEPT = 5
"""Broken rows that are recorded of each rule."""
KEPT_FOR = timedelta(days=30)
"""Then a run is deleted, unless it is a failure that stands."""
PURGE_BATCH = 5000
_LOCKS = {"quick": 4_715_101, "whole": 4_715_102}
"""The locks under which one run of each kind is made at a time."""
_NO_IDLE_LIMIT = text("SET LOCAL idle_in_transaction_session_timeout = 0")

_stands: ColumnElement[bool] = text(STANDS)  # type: ignore[assignment]  # a text clause works as a condition


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that has begun."""

    id: UUID
    kind: Kind
    started_at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """When the last run of each kind finished (UTC), and the failures that stand, oldest first."""

    quick_finished_at: datetime | None
    whole_finished_at: datetime | None
    standing: Sequence[ProofRun]


@asynccontextmanager
async def alone(sessionmaker: SessionMaker, kind: Kind) -> AsyncIterator[bool]:
    """Whether no other process makes a run of this kind; until the end none can. A process that dies holds nothing."""
    async with sessionmaker.begin() as session:
        await session.execute(_NO_IDLE_LIMIT)
        yield await try_lock(session, _LOCKS[kind])


async def begin(sessionmaker: SessionMaker, kind: Kind) -> Recorded:
    """Record that a run begins. Call it before the run takes its snapshot."""
    run = Recorded(new_id(), kind, clock.now())
    async with sessionmaker.begin() as session:
        session.add(ProofRun(id=run.id, kind=run.kind, started_at=run.started_at))
    return run


async def finish_whole(sessionmaker: SessionMaker, run: Recorded, report: ProofReport) -> None:
    """Record what a whole run found."""
    through = safe_through(report.snapshot_at)
    async with sessionmaker.begin() as session:
        await _finish(session, run, report, banks=list(report.explained), transfers_through=through)


async def finish_quick(sessionmaker: SessionMaker, run: Recorded, report: QuickReport) -> None:
    """Record what a quick run found, and how far it came."""
    passed = report.proof.ok
    async with sessionmaker.begin() as session:
        await _finish(
            session,
            run,
            report.proof,
            seen_through=report.seen_through,
            # A run that settles this failure must have looked as far as it did.
            transfers_through=report.transfers_through if passed else report.seen_through,
            accounts_through=report.accounts_through,
        )


async def beginning(session: AsyncSession) -> Beginning:
    """Where the next quick run begins: where the last good one ended, so that a failed one is made again."""
    passed = (
        select(ProofRun.transfers_through)
        .where(ProofRun.result == "passed")
        .where(ProofRun.transfers_through.is_not(None))
    )
    in_turn = select(ProofRun.accounts_through).where(ProofRun.result == "passed", ProofRun.kind == "quick")
    return Beginning(
        transfers_after=await session.scalar(passed.order_by(ProofRun.transfers_through.desc()).limit(1)) or BEFORE_ALL,
        accounts_after=await session.scalar(in_turn.order_by(ProofRun.finished_at.desc()).limit(1)) or BEFORE_ALL,
        named=sorted(_accounts_named(await standing(session))),
    )


async def standing(session: AsyncSession) -> list[ProofRun]:
    """The failures that stand, oldest first."""
    return list(await session.scalars(select(ProofRun).where(_stands).order_by(ProofRun.started_at)))


async def state(session: AsyncSession) -> State:
    """What is recorded of the last runs."""
    quick, whole = [await _finished_at(session, kind) for kind in ("quick", "whole")]
    return State(quick, whole, await standing(session))


async def _finished_at(session: AsyncSession, kind: str) -> datetime | None:
    newest = select(ProofRun.finished_at).where(ProofRun.kind == kind, ProofRun.finished_at.is_not(None))
    return await session.scalar(newest.order_by(ProofRun.finished_at.desc()).limit(1))


async def begun_since(session: AsyncSession, since: datetime) -> int:
    """How many whole runs have begun since then, finished or not."""
    statement = select(func.count()).where(ProofRun.kind == "whole", ProofRun.started_at >= since)
    return await session.scalar(statement) or 0


async def purge(session: AsyncSession) -> int:
    """Delete one batch of old runs. Answers how many."""
    old = (
        select(ProofRun.id)
        .where(ProofRun.started_at < clock.now() - KEPT_FOR)
        .where(ProofRun.result.is_distinct_from("failed") | ProofRun.superseded_by.is_not(None))
        .limit(PURGE_BATCH)
    )
    return int(getattr(await session.execute(delete(ProofRun).where(ProofRun.id.in_(old))), "rowcount", 0))


async def _finish(
    session: AsyncSession,
    run: Recorded,
    report: ProofReport,
    *,
    banks: Sequence[str] = (),
    seen_through: UUID = BEFORE_ALL,
    **reach: UUID,
) -> None:
    stood = list(await session.scalars(select(ProofRun).where(_stands).order_by(ProofRun.id).with_for_update()))
    settled = [failure for failure in stood if _settles(run, failure, banks, seen_through)]
    told = set[str]().union(*(rules_of(failure) for failure in stood if failure.alerted_at is not None))
    is_known = not report.ok and told.issuperset(check.name for check in report.failed)
    now = clock.now()
    await session.execute(
        update(ProofRun).where(ProofRun.id.in_([failure.id for failure in settled])).values(superseded_by=run.id)
    )
    await session.execute(
        update(ProofRun)
        .where(ProofRun.id == run.id)
        .values(
            finished_at=now,
            result="passed" if report.ok else "failed",
            findings=[_finding(check) for check in report.failed],
            banks=list(banks),
            transfers=report.rows.get("transfers", 0),
            alerted_at=now if is_known else None,
            **reach,
        )
    )


def _settles(run: Recorded, failure: ProofRun, banks: Iterable[str], seen_through: UUID) -> bool:
    if failure.started_at > run.started_at:
        return False
    if run.kind == "whole":
        return set(failure.banks) <= set(banks)
    return failure.kind == "quick" and (failure.transfers_through or BEFORE_ALL) <= seen_through


def rules_of(failure: ProofRun) -> list[str]:
    """The names of the rules that it found broken."""
    return [finding["rule"] for finding in failure.findings]


def _finding(check: CheckResult) -> dict[str, Any]:
    rows = json.loads(json.dumps([dict(row) for row in check.offenders[:ROWS_KEPT]], default=str))
    return {"rule": check.name, "rows": rows}


def _accounts_named(failures: Iterable[ProofRun]) -> set[UUID]:
    rows = [row for failure in failures for finding in failure.findings for row in finding["rows"]]
    return {UUID(row["account_id"]) for row in rows if row.get("account_id")}
