"""Our side of a bank's book: the settlement account's entries, and the payments that are still running."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.ledger import system_accounts
from shared.models.withdrawal import WithdrawalStatus
from shared.reconciliation.comparison import Expected, OurLine

STREAMED_ROWS = 5000
"""Rows held at once while a long result is read."""

# A parked credit and the transfer that took it back whole cancel out: the bank's book has neither line.
_LINE = """
    SELECT coalesce(CAST(o.id AS text), CAST(w.id AS text), CAST(back.id AS text),
                    CASE WHEN t.kind = 'adjustment' THEN t.note END, CAST(t.id AS text)) AS reference,
           CASE e.direction WHEN 'DEBIT' THEN 'CREDIT' ELSE 'DEBIT' END AS direction,
           e.amount, e.created_at AS at, e.transfer_id,
           t.kind = 'adjustment' AND t.credit_account_id = :suspense AND t.note IS NOT NULL AS is_parked
    FROM entries e
    JOIN transfers t ON t.id = e.transfer_id
    LEFT JOIN on_ramps o ON o.transfer_id = t.id
    LEFT JOIN withdrawals w ON w.transfer_id = t.id
    LEFT JOIN withdrawals back ON back.reversal_transfer_id = t.id
    WHERE e.account_id = :settlement
      AND NOT (t.kind = 'adjustment' AND EXISTS (
          SELECT 1 FROM transfers other
          WHERE other.kind = 'adjustment' AND other.amount = t.amount
            AND (other.reverses = t.id OR other.id = t.reverses)))
"""
_LINES = text(f"""
    {_LINE} AND (CAST(:since AS timestamptz) IS NULL OR e.created_at >= :since)
    ORDER BY e.seq
""")
# By the keys of its payment, and by the entries of suspense, which are few: never by all of a bank's account.
_LINES_OF_REFERENCE = text(f"""
    WITH named AS MATERIALIZED (
        SELECT transfer_id AS id FROM on_ramps WHERE id = :our_id AND bank = :bank
        UNION SELECT transfer_id FROM withdrawals WHERE id = :our_id AND bank = :bank
        UNION SELECT reversal_transfer_id FROM withdrawals WHERE id = :our_id AND bank = :bank
        UNION SELECT CAST(:our_id AS uuid)
        UNION SELECT booked.id FROM entries JOIN transfers booked ON booked.id = entries.transfer_id
        WHERE entries.account_id = :suspense AND booked.kind = 'adjustment' AND booked.note = :reference
    ), line AS ({_LINE} AND e.transfer_id = ANY(ARRAY(SELECT id FROM named WHERE id IS NOT NULL)))
    SELECT * FROM line WHERE reference = :reference ORDER BY at, transfer_id
""")  # noqa: S608 - constants of this file
_PARKED = text("""
    SELECT t.note AS reference, 'CREDIT' AS direction, t.amount, t.created_at AS at, t.id AS transfer_id,
           true AS is_parked
    FROM entries e JOIN transfers t ON t.id = e.transfer_id
    WHERE e.account_id = :suspense AND e.direction = 'CREDIT' AND t.kind = 'adjustment'
      AND t.debit_account_id = :settlement AND t.note IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM transfers other WHERE other.reverses = t.id)
    ORDER BY e.seq
""")
_PENDING_ON_RAMPS = """
    SELECT CAST(id AS text) AS reference, amount FROM on_ramps
    WHERE bank = :bank AND status = 'pending' AND token IS NOT NULL
"""
_ACTIVE_WITHDRAWALS = """
    SELECT CAST(id AS text) AS reference, amount, status FROM withdrawals
    WHERE bank = :bank AND (status = ANY(:statuses) OR :in_queue AND status = 'queued' AND ask_bank_first)
"""
_OF_ALL = text(_PENDING_ON_RAMPS), text(_ACTIVE_WITHDRAWALS)
_OF_ONE = text(f"{_PENDING_ON_RAMPS} AND id = :our_id"), text(f"{_ACTIVE_WITHDRAWALS} AND id = :our_id")


async def our_lines(session: AsyncSession, bank: str, *, since: datetime | None = None) -> list[OurLine]:
    """The settlement account's entries as the bank should have them, oldest first."""
    accounts = {"settlement": system_accounts.SETTLEMENT[bank], "suspense": system_accounts.SUSPENSE}
    rows = await session.stream(_LINES, accounts | {"since": since}, execution_options={"yield_per": STREAMED_ROWS})
    return [OurLine(**row) async for row in rows.mappings()]


async def parked_credits(session: AsyncSession, bank: str) -> list[OurLine]:
    """Unmatched credits that are parked in suspense, under the bank's references."""
    accounts = {"settlement": system_accounts.SETTLEMENT[bank], "suspense": system_accounts.SUSPENSE}
    return [OurLine(**row) for row in (await session.execute(_PARKED, accounts)).mappings()]


async def our_lines_of(session: AsyncSession, bank: str, reference: str) -> list[OurLine]:
    """What payments and suspense have of this reference on the settlement account, of any age, oldest first."""
    values = {
        "settlement": system_accounts.SETTLEMENT[bank],
        "suspense": system_accounts.SUSPENSE,
        "bank": bank,
        "reference": reference,
        "our_id": our_id(reference),
    }
    return [OurLine(**row) for row in (await session.execute(_LINES_OF_REFERENCE, values)).mappings()]


async def under_way(
    session: AsyncSession, bank: str, *, in_queue: bool = True, reference: str | None = None
) -> list[Expected]:
    """Lines the bank may have booked already, of payments that are still running: of all, or of this reference.

    With `in_queue`, also of withdrawals in the queue that a bank may have had before the database was restored.
    """
    on_ramps, withdrawals = _OF_ALL if reference is None else _OF_ONE
    of_one = {} if reference is None else {"our_id": our_id(reference)}
    pending = (await session.execute(on_ramps, {"bank": bank} | of_one)).mappings()
    expected = [Expected(row["reference"], "CREDIT", row["amount"], "its on-ramp is pending") for row in pending]
    values = {"bank": bank, "statuses": WithdrawalStatus.active(), "in_queue": in_queue}
    active = await session.execute(withdrawals, values | of_one)
    for row in active.mappings():
        name, amount, reason = row["reference"], row["amount"], f"its withdrawal is {row['status']}"
        expected.append(Expected(name, "DEBIT", amount, reason))
        expected.append(Expected(name, "CREDIT", amount, reason, follows_its_opposite=True))
    return expected


def our_id(reference: str) -> UUID | None:
    """The id of the on-ramp or withdrawal, as we write it. None: the bank's own reference."""
    try:
        named = UUID(reference)
    except ValueError:
        return None
    return named if str(named) == reference else None
