"""What owners see of transfers and of each other. Amounts in paise, times in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.errors import BatuaError
from shared.ledger.parties import Holder, Party
from shared.ledger.rules import Posted, Transfer, TransferKind


@dataclass(frozen=True, slots=True)
class Person:
    """What a signed-in owner sees of a person: never the email address."""

    id: UUID
    first_name: str
    last_name: str
    wallet_id: str


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of one account."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Payee:
    """The owner of a wallet id, before money is sent to it. `is_oneself`: the payee is the reader."""

    name: str
    wallet_id: str
    is_shop: bool
    is_oneself: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One transfer as one reader sees it: the same in the first answer, in a replay and in a later query.

    `balance_after` belongs to the reader's account; to the paying one when both are the reader's. It is None for the
    platform's user, who gives initial funds from an account that is not a user's, and once the entry is archived.
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


@dataclass(frozen=True, slots=True)
class RefundReceipt:
    """The receipt of a refund. Of the payment it `reverses`, `refunded` went back so far and `refundable` is left."""

    receipt: Receipt
    reverses: UUID
    refunded: int
    refundable: int


@dataclass(frozen=True, slots=True)
class RefundablePayment:
    """A payment that the reader received; `refunded` of it was given back, `left` can still be."""

    receipt: Receipt
    refunded: int

    @property
    def left(self) -> int:
        """What can still be given back."""
        return self.receipt.amount - self.refunded


BulkOutcome = Receipt | BatuaError
"""What happened to one item of a bulk request: its receipt, or the error that rejected it."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The two holders of a transfer."""

    debit: Holder
    credit: Holder

    @property
    def is_internal(self) -> bool:
        """Whether both accounts have the same owner."""
        return self.debit.owner_id is not None and self.debit.owner_id == self.credit.owner_id

    def seen_by(self, reader: UUID) -> tuple[Party, Party]:
        """Sender and recipient. Pots are named only in a transfer between the reader's own accounts."""
        viewer = reader if self.is_internal else None
        return self.debit.seen_by(viewer), self.credit.seen_by(viewer)

    def account_of(self, reader: UUID) -> UUID | None:
        """The reader's account in this transfer; the paying one when both are the reader's."""
        return next((end.account_id for end in (self.debit, self.credit) if end.owner_id == reader), None)


def receipt_for(posted: Posted, ends: Ends, reader: UUID) -> Receipt:
    """The receipt of a transfer that was posted just now."""
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
