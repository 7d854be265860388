"""The stored findings: one per bank, kind and reference. A later run that no longer sees a difference resolves it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.locks import lock_named
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.reconciliation.comparison import Difference

_LOCK = 0x2EC0
"""The lock under which one run per bank writes at a time."""

RECOVERED_BEFORE = timedelta(days=1)
"""A recovery looks at what the bank booked so long before the restored moment: clocks differ, notices come late."""

# A line in the range belongs to a flow that began earlier, and so does the bank's line. What a recovery wrote in the
# range, the bank booked at any time since the moment to which the database was restored.
_EARLIEST = text("""
    SELECT least(min(o.created_at), min(w.created_at), min(back.created_at), (
        SELECT min(restored_to) - CAST(:recovered_before AS interval) FROM recoveries
        WHERE finished_at IS NULL OR finished_at >= :since
    ))
    FROM entries e
    LEFT JOIN on_ramps o ON o.transfer_id = e.transfer_id
    LEFT JOIN withdrawals w ON w.transfer_id = e.transfer_id
    LEFT JOIN withdrawals back ON back.reversal_transfer_id = e.transfer_id
    WHERE e.account_id = :settlement AND e.created_at >= :since
""")
_FILE = text("""
    INSERT INTO reconciliation_findings AS known
        (id, bank, kind, reference, our_amount, bank_amount, transfer_id, found_at)
    SELECT id, :bank, kind, reference, our_amount, bank_amount, transfer_id, :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:refs AS text[]), CAST(:ours AS bigint[]),
                CAST(:theirs AS bigint[]), CAST(:transfers AS uuid[]))
         AS found (id, kind, reference, our_amount, bank_amount, transfer_id)
    ON CONFLICT (bank, kind, reference) DO UPDATE SET
        our_amount = excluded.our_amount, bank_amount = excluded.bank_amount, transfer_id = excluded.transfer_id,
        found_at = CASE WHEN known.resolved_at IS NULL THEN known.found_at ELSE excluded.found_at END,
        resolved_at = NULL
    WHERE known.resolved_at IS NOT NULL
       OR (known.our_amount, known.bank_amount, known.transfer_id)
          IS DISTINCT FROM (excluded.our_amount, excluded.bank_amount, excluded.transfer_id)
    RETURNING found_at = :now
""")
_RESOLVE = text("""
    UPDATE reconciliation_findings SET resolved_at = :now
    WHERE bank = :bank AND resolved_at IS NULL AND reference = ANY(:seen)
      AND (kind, reference) NOT IN (SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:refs AS text[])))
    RETURNING id
""")


async def lock(session: AsyncSession, bank: str) -> None:
    """Block other runs for this bank until the transaction ends."""
    # By the bank's name, which stays when other banks come and go.
    await lock_named(session, _LOCK, bank)


async def earliest_begin(session: AsyncSession, bank: str, since: datetime) -> datetime:
    """The start of the oldest flow whose entries are newer than `since`; `since` when there is none."""
    values = {
        "settlement": system_accounts.SETTLEMENT[bank],
        "since": since,
        "recovered_before": RECOVERED_BEFORE,
    }
    earliest: datetime | None = await session.scalar(_EARLIEST, values)
    return earliest or since


async def file(
    session: AsyncSession, bank: str, differences: Sequence[Difference], parked_as: Mapping[str, UUID]
) -> int:
    """Store the differences. Answers how many are new or were resolved before."""
    merged = _merge(differences)
    if not merged:
        return 0
    now = clock.now()
    names = list(merged)
    result = await session.execute(
        _FILE,
        {
            "bank": bank,
            "now": now,
            "ids": [new_id() for _ in names],
            "kinds": [kind for kind, _ in names],
            "refs": [reference for _, reference in names],
            "ours": [merged[name][0] for name in names],
            "theirs": [merged[name][1] for name in names],
            "transfers": [
                parked_as.get(reference) if kind == "unmatched_credit" else None for kind, reference in names
            ],
        },
    )
    return sum(result.scalars())


async def resolve_others(
    session: AsyncSession, bank: str, differences: Sequence[Difference], *, seen: Collection[str]
) -> int:
    """Resolve the open findings of compared references that no longer differ. Answers how many."""
    result = await session.execute(
        _RESOLVE,
        {
            "bank": bank,
            "now": clock.now(),
            "seen": list(seen),
            "kinds": [difference.kind for difference in differences],
            "refs": [difference.reference for difference in differences],
        },
    )
    return len(result.all())


def _merge(differences: Sequence[Difference]) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    """One finding per kind and reference, with the sums of the amounts."""
    merged: dict[tuple[str, str], tuple[int | None, int | None]] = {}
    for difference in differences:
        name = (difference.kind, difference.reference)
        ours, theirs = merged.get(name, (None, None))
        merged[name] = (_add(ours, difference.our_amount), _add(theirs, difference.bank_amount))
    return merged


def _add(one: int | None, other: int | None) -> int | None:
    return other if one is None else one + (other or 0)
