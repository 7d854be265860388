"""The circuit breaker of a bank, kept in Postgres so that every worker shares it.

Closed: every call goes out. After THRESHOLD failures in a row it opens for a while, so that no worker waits for
time-outs. Then it is half open: one call at a time probes the bank, and an answer closes the circuit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.config import WithdrawalTimings
from shared.db.columns import sql_values
from shared.models.bank_circuit import CircuitState
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals.backoff import MAX_DOUBLINGS

THRESHOLD = 5
"""Failures in a row that open the circuit."""
MAX_OPEN_SECONDS = 60.0
"""A bank that answers again is noticed within this time: one probe costs nothing."""
MAX_BROUGHT_FORWARD = 1000


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a call may go out. `open_until` is null when it may; a probe is the only call that goes out.

    `probe_until` is set for a probe: until then no other call goes out.
    """

    open_until: datetime | None = None
    probe_until: datetime | None = None

    @property
    def is_probe(self) -> bool:
        """Whether the call finds out if the bank answers again."""
        return self.probe_until is not None

    @property
    def of_next_call(self) -> Permission:
        """Whether another call to the same bank may go out right after this one."""
        return Permission(open_until=self.probe_until) if self.is_probe else self


_WAITS_FOR_BANK = sql_values([WithdrawalStatus.WAITING, WithdrawalStatus.UNKNOWN])
_READ = text("SELECT open_until, probe_until FROM bank_circuits WHERE bank = :bank")
_PROBE = text("""
    UPDATE bank_circuits SET probe_until = :probe_until
    WHERE bank = :bank AND open_until <= :now AND (probe_until IS NULL OR probe_until <= :now) RETURNING bank
""")
_CLOSE = text("""
    WITH before AS (
        SELECT bank, open_until FROM bank_circuits
        WHERE bank = :bank AND (failures > 0 OR open_until IS NOT NULL) FOR UPDATE
    )
    UPDATE bank_circuits SET failures = 0, open_until = NULL, probe_until = NULL, changed_at = :now
    FROM before WHERE bank_circuits.bank = before.bank RETURNING before.open_until IS NOT NULL
""")
# A call that went out before the circuit opened says nothing new when it fails, so only probes prolong the pause.
_FAIL = text("""
    INSERT INTO bank_circuits AS circuit (bank, failures, changed_at) VALUES (:bank, 1, :now)
    ON CONFLICT (bank) DO UPDATE SET failures = circuit.failures + 1, changed_at = EXCLUDED.changed_at
        WHERE circuit.open_until IS NULL OR :is_probe
    RETURNING failures
""")
_OPEN = text("UPDATE bank_circuits SET open_until = :open_until, probe_until = NULL WHERE bank = :bank")
_BRING_FORWARD = text(f"""
    UPDATE withdrawals SET next_attempt_at = :now WHERE id IN (
        SELECT id FROM withdrawals
        WHERE bank = :bank AND status IN {_WAITS_FOR_BANK} AND first_not_found_at IS NULL
          AND lease_id IS NULL AND next_attempt_at > :now
        ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")  # noqa: S608 - statuses of the model


async def ask(session: AsyncSession, bank: str, *, probe_seconds: float) -> Permission:
    """Ask whether a call may go out. A probe is claimed for `probe_seconds`, in the caller's transaction."""
    now = clock.now()
    row = (await session.execute(_READ, {"bank": bank})).one_or_none()
    if row is None:
        return Permission()
    match CircuitState.at(now, open_until=row.open_until):
        case CircuitState.CLOSED:
            return Permission()
        case CircuitState.OPEN:
            return Permission(open_until=row.open_until)
        case CircuitState.HALF_OPEN:
            probe_until = now + timedelta(seconds=probe_seconds)
            claimed = await session.execute(_PROBE, {"bank": bank, "now": now, "probe_until": probe_until})
            if claimed.one_or_none() is not None:
                return Permission(probe_until=probe_until)
            # Another worker is probing. That ends with its call, or with its lease.
            is_known = row.probe_until is not None and row.probe_until > now
            return Permission(open_until=row.probe_until if is_known else probe_until)


async def record_answer(session: AsyncSession, bank: str) -> bool:
    """The bank answered, no matter what. True when that closed a circuit that had opened.

    The withdrawals that wait for that bank are then due at once.
    """
    now = clock.now()
    was_open = (await session.execute(_CLOSE, {"bank": bank, "now": now})).scalar_one_or_none()
    if was_open:
        await session.execute(_BRING_FORWARD, {"bank": bank, "now": now, "limit": MAX_BROUGHT_FORWARD})
    return bool(was_open)


async def record_failure(
    session: AsyncSession, bank: str, timings: WithdrawalTimings, *, is_probe: bool, jitter: float
) -> datetime | None:
    """The bank did not answer. Returns until when the circuit is open because of it, or None."""
    now = clock.now()
    failures = (await session.execute(_FAIL, {"bank": bank, "now": now, "is_probe": is_probe})).scalar_one_or_none()
    if failures is None or failures < THRESHOLD:
        return None
    cap = min(MAX_OPEN_SECONDS, timings.retry_cap_seconds)
    longest = min(cap, timings.retry_base_seconds * 2.0 ** min(failures - THRESHOLD, MAX_DOUBLINGS))
    # Half of it is certain: with full jitter the circuit could be open for no time at all.
    open_until = now + timedelta(seconds=longest * (1 + jitter) / 2)
    await session.execute(_OPEN, {"bank": bank, "open_until": open_until})
    return open_until
