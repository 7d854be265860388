"""What a party to a transfer is shown of it: the same in the first answer, a replay and a later look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ledger.parties import Holder, Party, holders
from shared.ledger.rules import Posted, Transfer, TransferKind
from shared.models import Account, Entry
from shared.models import Transfer as TransferRow
from shared.transfers.errors import TransferNotFound


@dataclass(frozen=True, slots=True)
class Receipt:
    """One transfer in the eyes of one party. Amounts in paise, `created_at` in UTC.

    `balance_after` is the reader's own, of the account that paid when both are the reader's; None for
    the platform's user, who hands out money that was never on an account of its own.
    """

    id: UUID
    kind: TransferKind
    amount: int
    currency: str
    sender: Party
    recipient: Party
    note: str | None
    balance_after: int | None
    created_at: datetime

    def body(self) -> dict[str, Any]:
        """The receipt as JSON, as it is kept beside its idempotency key."""
        return {
            "id": str(self.id),
            "kind": self.kind,
            "amount": self.amount,
            "currency": self.currency,
            "from": {"wallet_id": self.sender.wallet_id, "name": self.sender.name},
            "to": {"wallet_id": self.recipient.wallet_id, "name": self.recipient.name},
            "note": self.note,
            "balance_after": self.balance_after,
            "created_at": clock.rfc3339(self.created_at, "auto"),
        }


@dataclass(frozen=True, slots=True)
class Ends:
    """The two holders of a transfer, and how each is seen."""

    debit: Holder
    credit: Holder

    @property
    def is_internal(self) -> bool:
        """Whether the money stays with one owner."""
        return self.debit.owner_id is not None and self.debit.owner_id == self.credit.owner_id

    def seen_by(self, reader: UUID) -> tuple[Party, Party]:
        """Sender and recipient. Pots are named only in movements between one's own accounts."""
        viewer = reader if self.is_internal else None
        return self.debit.seen_by(viewer), self.credit.seen_by(viewer)

    def account_of(self, reader: UUID) -> UUID | None:
        """The reader's own account in it, the paying one first."""
        return next((end.account_id for end in (self.debit, self.credit) if end.owner_id == reader), None)


def receipt_for(posted: Posted, ends: Ends, reader: UUID) -> Receipt:
    """The receipt of what was posted just now."""
    transfer = posted.command
    assert isinstance(transfer, Transfer)
    assert posted.at is not None
    sender, recipient = ends.seen_by(reader)
    own = ends.account_of(reader)
    return Receipt(
        id=transfer.id,
        kind=transfer.kind,
        amount=transfer.amount,
        currency=transfer.currency,
        sender=sender,
        recipient=recipient,
        note=transfer.note,
        balance_after=None if own is None else posted.balance_after(own),
        created_at=posted.at,
    )


async def get(session: AsyncSession, owner_id: UUID, transfer_id: UUID) -> Receipt:
    """The transfer, for either party and for whoever set it going. Raises TransferNotFound for everybody else."""
    owned = select(Account.id).where(Account.owner_id == owner_id)
    statement = select(TransferRow).where(
        TransferRow.id == transfer_id,
        or_(
            TransferRow.initiated_by == owner_id,
            TransferRow.debit_account_id.in_(owned),
            TransferRow.credit_account_id.in_(owned),
        ),
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise TransferNotFound
    found = await holders(session, [row.debit_account_id, row.credit_account_id])
    ends = Ends(found[row.debit_account_id], found[row.credit_account_id])
    return await _receipt_of(session, row, ends, owner_id)


async def _receipt_of(session: AsyncSession, row: TransferRow, ends: Ends, reader: UUID) -> Receipt:
    own = ends.account_of(reader)
    balance_after = None
    if own is not None:
        entry = select(Entry.balance_after).where(
            Entry.transfer_id == row.id,
            Entry.direction == ("DEBIT" if row.debit_account_id == own else "CREDIT"),
        )
        balance_after = (await session.execute(entry)).scalar_one()
    sender, recipient = ends.seen_by(reader)
    return Receipt(
        id=row.id,
        kind=row.kind,  # type: ignore[arg-type]  # the table's check allows these alone
        amount=row.amount,
        currency=row.currency,
        sender=sender,
        recipient=recipient,
        note=row.note,
        balance_after=balance_after,
        created_at=row.created_at,
    )
