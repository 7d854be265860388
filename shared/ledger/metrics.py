"""What the ledger counts for Prometheus: money that moved, once it is committed, and the batches that moved it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from shared.ledger.rules import CaptureHold, Posted, Transfer

_MOVEMENTS = Counter("batua_money_movements", "Committed movements of money", ["kind"])
_PAISE = Counter("batua_money_moved_paise", "Paise that committed movements moved", ["kind"])
_SIZE = Histogram(
    "batua_ledger_batch_size",
    "Transfers that were written in one transaction",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200),
)
_SECONDS = Histogram(
    "batua_ledger_batch_seconds",
    "From the arrival of the transfer of a batch that waited longest to the commit",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
_UNCOMMITTED = "money_moved"


@dataclass(slots=True)
class _Sum:
    movements: int = 0
    paise: int = 0


def count_moved(outcomes: Iterable[object]) -> None:
    """Count what these outcomes moved. Call it after their commit."""
    sums: dict[str, _Sum] = {}
    _add(sums, outcomes)
    _count(sums)


def count_moved_after_commit(session: AsyncSession, outcomes: Iterable[object]) -> None:
    """Count what these outcomes moved when the session's transaction is committed, and not if it is rolled back."""
    _add(session.info.setdefault(_UNCOMMITTED, {}), outcomes)


def observe_batch(size: int, seconds: float) -> None:
    """Note a committed batch of single transfers, and how long the first of them had waited by then."""
    _SIZE.observe(size)
    _SECONDS.observe(seconds)


def _add(sums: dict[str, _Sum], outcomes: Iterable[object]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Posted):
            command = outcome.command
            transfer = command.transfer if isinstance(command, CaptureHold) else command
            if isinstance(transfer, Transfer):
                of_kind = sums.setdefault(transfer.kind, _Sum())
                of_kind.movements += 1
                of_kind.paise += transfer.amount


def _count(sums: dict[str, _Sum]) -> None:
    for kind, moved in sums.items():
        _MOVEMENTS.labels(kind).inc(moved.movements)
        _PAISE.labels(kind).inc(moved.paise)


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    if not session.in_nested_transaction():  # after a savepoint the transaction may still be rolled back
        _count(session.info.pop(_UNCOMMITTED, {}))


@event.listens_for(Session, "after_rollback")
def _rolled_back(session: Session) -> None:
    session.info.pop(_UNCOMMITTED, None)
