"""How the house stands: who is connected, what waits, which bank is shut, whether the books hold, how far a standby is.

Each number is a look at an index or at a small table, so it may be asked every few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.table import BANKS
from shared.models import (
    Account,
    BankCircuit,
    Lease,
    OnRamp,
    OperatorAction,
    ReconciliationFinding,
    Recovery,
)
from shared.models.bank_circuit import CircuitState
from shared.models.on_ramp import OnRampStatus
from shared.models.withdrawal import WithdrawalStatus
from shared.outbox import queue
from shared.proof import runs
from shared.withdrawals import unfinished

QUEUE_SECONDS = 300
"""A withdrawal that has waited in the queue for longer, and for a worker alone, is worth a look."""
PROOF_SECONDS = 600
LAG_SECONDS = 30

_CONNECTED = text("""
    SELECT application_name, count(*), min(backend_start) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY(:services)
    GROUP BY application_name ORDER BY application_name
""")
_STANDBYS = text("""
    SELECT application_name, state, sync_state, extract(epoch FROM replay_lag)::float,
           pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint
    FROM pg_stat_replication ORDER BY application_name
""")
SERVICES = ("user_app", "merchant_app", "bank_webhook", "withdraw_worker")


@dataclass(slots=True)
class Overview:
    """What was seen at one moment, and in `attention` what a person should look at. Amounts in paise."""

    at: datetime
    connected: list[dict[str, Any]]
    withdrawals: list[dict[str, Any]]
    on_ramps_pending: int
    oldest_on_ramp_at: datetime | None
    mails_waiting: int
    circuits: list[dict[str, Any]]
    proof: dict[str, Any]
    scheduler_until: datetime | None
    """Until when a scheduler holds the lease of the schedule."""
    recovery_since: datetime | None
    """Since when a recovery after a restore is unfinished."""
    differences_to_banks: int
    frozen_owners: int
    open_proposals: int
    standbys: list[dict[str, Any]]
    attention: list[str] = field(default_factory=list)


async def overview(session: AsyncSession) -> Overview:
    """Look at all of it."""
    proof = await runs.state(session)
    seen = Overview(
        at=clock.now(),
        connected=await _connected(session),
        withdrawals=await _withdrawals(session),
        on_ramps_pending=0,
        oldest_on_ramp_at=None,
        mails_waiting=(await queue.backlog(session)).waiting,
        circuits=await _circuits(session),
        proof={
            "last_quick_at": proof.quick_finished_at,
            "last_whole_at": proof.whole_finished_at,
            "holds": not proof.standing,
            "broken_rules": sorted({rule for failure in proof.standing for rule in runs.rules_of(failure)}),
        },
        scheduler_until=await session.scalar(select(func.max(Lease.expires_at))),
        recovery_since=await session.scalar(select(Recovery.begun_at).where(Recovery.finished_at.is_(None))),
        differences_to_banks=await _count(
            session, ReconciliationFinding.id, ReconciliationFinding.resolved_at.is_(None)
        ),
        frozen_owners=await _count(session, func.distinct(Account.owner_id), Account.frozen_at.is_not(None)),
        open_proposals=await _count(
            session, OperatorAction.id, OperatorAction.decision.is_(None), OperatorAction.expires_at > func.now()
        ),
        standbys=await _standbys(session),
    )
    pending = select(func.count(), func.min(OnRamp.created_at)).where(OnRamp.status == OnRampStatus.PENDING)
    seen.on_ramps_pending, seen.oldest_on_ramp_at = (await session.execute(pending)).one()
    seen.attention = attention(seen)
    return seen


def attention(seen: Overview) -> list[str]:
    """What a person should look at, in sentences that name the next command."""
    found = []
    if not seen.proof["holds"]:
        rules = "; ".join(seen.proof["broken_rules"])
        found.append(f"No payout leaves, because a proof failed ({rules}): run batua prove.")
    if seen.recovery_since is not None:
        found.append("No payout leaves, because a recovery is unfinished: go on with batua recovery settle.")
    quick_at = seen.proof["last_quick_at"]
    if quick_at is not None and quick_at < seen.at - timedelta(seconds=PROOF_SECONDS):
        found.append(f"The last quick proof ended at {quick_at:%Y-%m-%d %H:%M} UTC: is the worker running?")
    if "withdraw_worker" not in {each["service"] for each in seen.connected}:
        found.append("No withdraw_worker is connected: no payout and no mail leaves.")
    if seen.scheduler_until is None or seen.scheduler_until < seen.at:
        found.append("No scheduler is at work: no regular task is sent.")
    found += _about_withdrawals(seen)
    found += [
        f"The circuit of {each['bank']} is {each['state']}: its payouts wait."
        for each in seen.circuits
        if each["state"] is not CircuitState.CLOSED
    ]
    if seen.differences_to_banks:
        found.append(f"{seen.differences_to_banks} differences to banks' statements are open: run batua reconcile.")
    found += [
        f"Standby {each['name']} is {each['lag_seconds']:.0f} s behind."
        for each in seen.standbys
        if (each["lag_seconds"] or 0) > LAG_SECONDS
    ]
    return found


def _about_withdrawals(seen: Overview) -> list[str]:
    found = []
    for each in seen.withdrawals:
        if each["status"] is WithdrawalStatus.NEEDS_REVIEW:
            found.append(f"{each['count']} withdrawals need review: batua withdrawals list-review names them.")
        is_late = each["oldest_at"] is not None and each["oldest_at"] < seen.at - timedelta(seconds=QUEUE_SECONDS)
        may_leave = seen.proof["holds"] and seen.recovery_since is None
        if each["status"] is WithdrawalStatus.QUEUED and is_late and may_leave:
            found.append(f"The oldest withdrawal in the queue waits since {each['oldest_at']:%Y-%m-%d %H:%M} UTC.")
    return found


async def _connected(session: AsyncSession) -> list[dict[str, Any]]:
    rows = await session.execute(_CONNECTED, {"services": list(SERVICES)})
    return [{"service": name, "connections": count, "since": since} for name, count, since in rows]


async def _withdrawals(session: AsyncSession) -> list[dict[str, Any]]:
    """Those that have not ended, by status, at all banks."""
    of_status: dict[WithdrawalStatus, list[unfinished.Unfinished]] = {}
    for each in await unfinished.read(session):
        of_status.setdefault(each.status, []).append(each)
    return [
        {
            "status": status,
            "count": sum(each.count for each in found),
            "amount": sum(each.amount for each in found),
            "oldest_at": min((each.oldest_at for each in found if each.oldest_at is not None), default=None),
        }
        for status, found in sorted(of_status.items())
    ]


async def _circuits(session: AsyncSession) -> list[dict[str, Any]]:
    now, rows = clock.now(), {row.bank: row for row in await session.scalars(select(BankCircuit))}
    found = []
    for bank in BANKS:
        row = rows.get(bank)
        open_until = None if row is None else row.open_until
        state, failures = CircuitState.at(now, open_until=open_until), 0 if row is None else row.failures
        found.append({"bank": bank, "state": state, "open_until": open_until, "failures": failures})
    return found


async def _standbys(session: AsyncSession) -> list[dict[str, Any]]:
    if await session.scalar(text("SELECT pg_is_in_recovery()")):
        return []
    return [
        {"name": name, "state": state, "sync": sync, "lag_seconds": lag_seconds, "lag_bytes": lag_bytes}
        for name, state, sync, lag_seconds, lag_bytes in await session.execute(_STANDBYS)
    ]


async def _count(session: AsyncSession, column: Any, *conditions: Any) -> int:
    return await session.scalar(select(func.count(column)).where(*conditions)) or 0
