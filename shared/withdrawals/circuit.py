"""The circuit breaker of a bank, kept in Postgres so that every worker shares it.

Closed: everybody may call. After THRESHOLD failures in a row it opens for a while, and nobody waits for
time-outs any more; then one call at a time probes, until one is answered and closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.config import WithdrawalTimings
from shared.db.columns import sql_values
from shared.models.withdrawal import WithdrawalStatus

THRESHOLD = 5
"""Failures in a row that open it."""
MAX_OPEN_SECONDS = 60.0
"""A bank that is back is noticed within this time: one probe costs nothing."""
BROUGHT_FORWARD_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a call may go out now. `shut_until` is null when it may; a probe is the only call allowed out."""

    shut_until: datetime | None = None
    is_probe: bool = False


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
# A call let out before the circuit opened says nothing new when it fails, so only probes lengthen the wait.
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
    """May a call go out? A probe is claimed for `probe_seconds`, in the caller's transaction."""
    now = clock.now()
    row = (await session.execute(_READ, {"bank": bank})).one_or_none()
    if row is None or row.open_until is None:
        return Permission()
    if row.open_until > now:
        return Permission(shut_until=row.open_until)
    probe_until = now + timedelta(seconds=probe_seconds)
    claimed = await session.execute(_PROBE, {"bank": bank, "now": now, "probe_until": probe_until})
    if claimed.one_or_none() is not None:
        return Permission(is_probe=True)
    # Somebody else is probing; it is over within a call, or with that worker's lease.
    return Permission(shut_until=row.probe_until if row.probe_until and row.probe_until > now else probe_until)


async def note_answer(session: AsyncSession, bank: str) -> bool:
    """The bank answered, whatever it said. True when that closed an open circuit.

    Whoever waits for that bank is then due at once.
    """
    now = clock.now()
    was_open = (await session.execute(_CLOSE, {"bank": bank, "now": now})).scalar_one_or_none()
    if was_open:
        await session.execute(_BRING_FORWARD, {"bank": bank, "now": now, "limit": BROUGHT_FORWARD_AT_ONCE})
    return bool(was_open)


async def note_failure(
    session: AsyncSession, bank: str, timings: WithdrawalTimings, *, is_probe: bool, jitter: float
) -> datetime | None:
    """The bank did not answer. Until when the circuit is open because of it, if it is."""
    now = clock.now()
    failures = (await session.execute(_FAIL, {"bank": bank, "now": now, "is_probe": is_probe})).scalar_one_or_none()
    if failures is None or failures < THRESHOLD:
        return None
    cap = min(MAX_OPEN_SECONDS, timings.retry_cap_seconds)
    longest = min(cap, timings.retry_base_seconds * 2.0 ** min(failures - THRESHOLD, 32))
    # Half of it is certain: an open circuit that lets everybody through at once would be none.
    open_until = now + timedelta(seconds=longest * (1 + jitter) / 2)
    await session.execute(_OPEN, {"bank": bank, "open_until": open_until})
    return open_until
