"""The receipt of one transfer: to look at, to share with the other side, to print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from shared.http.dependencies import Caller, ReadSession
from shared.ledger.accounts import wallet_of
from shared.ledger.parties import Party
from shared.pages.rendering import render
from shared.transfers.queries import get_receipt
from shared.transfers.views import Receipt

router = APIRouter()

View = Literal["sent", "received", "moved"]


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """A receipt in the eyes of its reader."""

    receipt: Receipt
    view: View
    heading: str
    other: Party

    @property
    def can_repeat(self) -> bool:
        """Whether the reader could send to the other side (again, or back)."""
        return self.view != "moved" and self.other.wallet_id is not None


@router.get("/transfers/{transfer_id}")
async def show_receipt(request: Request, caller: Caller, session: ReadSession, transfer_id: UUID) -> Response:
    """A receipt for either party; all others get 404, as for a transfer that does not exist."""
    receipt = await get_receipt(session, reader=caller.owner_id, transfer_id=transfer_id)
    wallet = await wallet_of(session, caller.owner_id)
    return render(request, "receipt.html", shown=view_of(receipt, wallet.handle))


def view_of(receipt: Receipt, own_wallet_id: str | None) -> ReceiptView:
    """Which side the reader is on, and what to call that."""
    sender, recipient = receipt.sender, receipt.recipient
    if receipt.kind == "p2p" and None in (sender.wallet_id, recipient.wallet_id):  # only pots have none
        return ReceiptView(receipt, "moved", "Moved between your accounts", recipient)
    if sender.wallet_id == own_wallet_id:
        sent = {"payment": "Paid", "payout": "Withdrawn"}.get(receipt.kind, "Sent")
        return ReceiptView(receipt, "sent", sent, recipient)
    received = {"onramp": "Money added", "refund": "Refunded", "payout_reversal": "Sent back by the bank"}
    return ReceiptView(receipt, "received", received.get(receipt.kind, "Received"), sender)
