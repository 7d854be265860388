"""What lies in suspense: money at a bank that no payment of ours explains, in either direction.

An item is what the entries of one reference of one bank leave over. A credit that was taken back, a payout that came
back, or a debit that operators ended leaves nothing, so the items of all references add up to the account's balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.audit.kinds import RECOVERY_SETTLE
from shared.ledger import system_accounts
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, AuditEvent, OnRamp, Withdrawal
from shared.money import Money
from shared.operators.lookups import MAX_LISTED

# What takes money back or ends a debit counts under the reference of that, whatever its own note says.
_ITEMS = text("""
    WITH line AS (
        SELECT coalesce(original.note, CAST(original.id AS text)) AS reference,
               CASE WHEN other.kind = 'bank_settlement' THEN other.name END AS bank,
               CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END AS change,
               e.seq, e.created_at, t.id AS transfer_id,
               coalesce(original.initiated_by, CASE WHEN done.id IS NOT NULL THEN payer.owner_id END) AS owner_id,
               done.id IS NOT NULL AS is_ended
        FROM entries e
        JOIN transfers t ON t.id = e.transfer_id
        LEFT JOIN operator_actions done
          ON done.done_in IS NOT NULL AND done.action IN ('collect', 'book_fee')
         AND done.arguments ->> 'transfer_id' = CAST(t.id AS text)
        JOIN accounts payer ON payer.id = t.debit_account_id
        JOIN transfers original ON original.id = coalesce(done.subject_id, t.reverses, t.id)
        JOIN accounts other
          ON other.id IN (original.debit_account_id, original.credit_account_id) AND other.id <> e.account_id
        WHERE e.account_id = :suspense
    ), item AS (
        SELECT reference, bank, CAST(sum(change) AS bigint) AS change, max(seq) AS seq, max(created_at) AS at,
               (array_agg(transfer_id ORDER BY seq DESC))[1] AS transfer_id,
               (array_agg(owner_id ORDER BY seq DESC) FILTER (WHERE owner_id IS NOT NULL))[1] AS owner_id,
               bool_or(is_ended) AS is_ended
        FROM line
        WHERE (CAST(:bank AS text) IS NULL OR bank = :bank)
          AND (CAST(:reference AS text) IS NULL OR reference = :reference)
        GROUP BY reference, bank HAVING sum(change) <> 0
    )
    SELECT reference, bank, change, at, transfer_id, owner_id, is_ended, count(*) OVER () AS items,
           CAST(sum(greatest(change, 0)) OVER () AS bigint) AS came_in,
           CAST(sum(greatest(-change, 0)) OVER () AS bigint) AS left_us
    FROM item ORDER BY seq LIMIT :limit
""")

_UNKNOWN_CREDIT = "no on-ramp or withdrawal has this reference"
_UNKNOWN_DEBIT = "no withdrawal has this reference, and the bank named no owner who is known"
_OF_AN_OWNER = "it could not be booked from its owner's account"
_CAME_BACK = "the bank gave it back after operators had collected it, or booked it as a fee"
_BY_HAND = "booked by hand"


@dataclass(frozen=True, slots=True)
class Item:
    """What one reference leaves over. CREDIT is money that came in to us, DEBIT money that left; `amount` is paise."""

    reference: str
    bank: str | None
    """None where the money is on no bank's account: it was booked by hand."""
    direction: str
    amount: int
    at: datetime
    """When its newest entry was written."""
    transfer_id: UUID
    owner_id: UUID | None
    wallet_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Suspense:
    """The oldest items, and of all there are: how many, and the paise of each direction."""

    items: Sequence[Item]
    count: int
    came_in: int
    left: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database has under the references and of their owners."""

    withdrawals: Mapping[tuple[str, str], Withdrawal]
    on_ramps: Mapping[tuple[str, str], OnRamp]

    def item(self, row: Mapping[str, Any], reasons: Mapping[str, str], wallets: Mapping[UUID, str]) -> Item:
        owner_id = self.owner_of(row)
        return Item(
            reference=row["reference"],
            bank=row["bank"],
            direction="CREDIT" if row["change"] > 0 else "DEBIT",
            amount=abs(row["change"]),
            at=row["at"],
            transfer_id=row["transfer_id"],
            owner_id=owner_id,
            wallet_id=None if owner_id is None else wallets.get(owner_id),
            why=self._why(row, reasons),
        )

    def owner_of(self, row: Mapping[str, Any]) -> UUID | None:
        """Whose payment it was; for a debit of which there is none, whom the bank named."""
        name = (row["bank"], row["reference"])
        payment = self.withdrawals.get(name) or self.on_ramps.get(name)
        owner_id: UUID | None = row["owner_id"] if payment is None else payment.owner_id
        return owner_id

    def _why(self, row: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
        name = (row["bank"], row["reference"])
        is_debit = row["change"] < 0
        if row["bank"] is None:
            return _BY_HAND
        if is_debit and row["reference"] in reasons:
            return reasons[row["reference"]]
        if (withdrawal := self.withdrawals.get(name)) is not None:
            return f"its withdrawal of {Money(withdrawal.amount)} is {withdrawal.status}"
        if (on_ramp := self.on_ramps.get(name)) is not None:
            return f"its on-ramp of {Money(on_ramp.amount)} is {on_ramp.status}"
        if not is_debit:
            return _CAME_BACK if row["is_ended"] else _UNKNOWN_CREDIT
        return _UNKNOWN_DEBIT if row["owner_id"] is None else _OF_AN_OWNER


async def suspense(
    session: AsyncSession, *, bank: str | None = None, reference: str | None = None, limit: int
) -> Suspense:
    """What lies there, of one bank or of all, under one reference or under all, the oldest first."""
    values = {
        "suspense": system_accounts.SUSPENSE,
        "bank": bank,
        "reference": reference,
        "limit": min(limit, MAX_LISTED),
    }
    rows = [dict(row) for row in (await session.execute(_ITEMS, values)).mappings()]
    if not rows:
        return Suspense([], 0, 0, 0)
    known = await _known(session, [row["reference"] for row in rows])
    owner_ids = {owner_id for row in rows if (owner_id := known.owner_of(row)) is not None}
    reasons, wallets = await _reasons(session, owner_ids), await _wallets(session, owner_ids)
    items = [known.item(row, reasons, wallets) for row in rows]
    return Suspense(items, rows[0]["items"], rows[0]["came_in"], rows[0]["left_us"])


async def _known(session: AsyncSession, references: Sequence[str]) -> _Known:
    ids = [our_id for reference in references if (our_id := _our_id(reference)) is not None]
    withdrawals = await session.scalars(select(Withdrawal).where(Withdrawal.id.in_(ids)))
    on_ramps = await session.scalars(select(OnRamp).where(OnRamp.id.in_(ids)))
    return _Known(
        {(row.bank, str(row.id)): row for row in withdrawals}, {(row.bank, str(row.id)): row for row in on_ramps}
    )


async def _reasons(session: AsyncSession, owner_ids: set[UUID]) -> dict[str, str]:
    """By reference, why a debit could not be booked from its owner, as far as the audit trail still says so."""
    events = await session.scalars(
        select(AuditEvent.facts)
        .where(AuditEvent.owner_id.in_(owner_ids), AuditEvent.what == RECOVERY_SETTLE)
        .order_by(AuditEvent.id)
    )
    return {facts["reference"]: facts["reason"] for facts in events if facts.get("reason")}


async def _wallets(session: AsyncSession, owner_ids: set[UUID]) -> dict[UUID, str]:
    statement = select(Account.owner_id, Account.handle).where(
        Account.owner_id.in_(owner_ids), Account.kind.in_(SPENDABLE_KINDS)
    )
    return {owner_id: handle for owner_id, handle in await session.execute(statement) if owner_id and handle}


def _our_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
