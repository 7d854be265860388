"""The receipt of one transfer: shown, shared with the other party, printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from shared.http.dependencies import CurrentResources, SignedInCaller
from shared.ledger.parties import Party
from shared.movement_words import words_of
from shared.pages.rendering import render
from shared.transfers.views import Receipt

router = APIRouter()


@dataclass(frozen=True, slots=True)
class ShownReceipt:
    """A receipt from the side of its reader, who sent the money, received it, or moved it between own accounts."""

    receipt: Receipt
    side: Literal["sent", "received", "moved"]
    title: str
    other: Party

    @property
    def can_repeat(self) -> bool:
        """Whether the reader can send money to the other party."""
        return self.side != "moved" and self.other.wallet_id is not None


@router.get("/transfers/{transfer_id}")
async def show_receipt(
    request: Request, caller: SignedInCaller, resources: CurrentResources, transfer_id: UUID
) -> Response:
    """The receipt, for both parties. Raises TransferNotFound for all others."""
    receipt = await resources.receipts.find(reader=caller.identity.owner_id, transfer_id=transfer_id)
    return render(request, "receipt.html", shown=from_side_of(caller.wallet.wallet_id, receipt))


def from_side_of(wallet_id: str | None, receipt: Receipt) -> ShownReceipt:
    """The receipt as the owner of the wallet `wallet_id` reads it."""
    sender, recipient = receipt.sender, receipt.recipient
    # Only the reader's own pots have no wallet id.
    if receipt.kind == "p2p" and {sender.wallet_id, recipient.wallet_id} <= {None, wallet_id}:
        # Told from the side of the wallet; between two pots, from that of the sender.
        is_incoming = recipient.wallet_id is not None
        pot = sender if is_incoming else recipient
        title = words_of(receipt.kind, is_incoming=is_incoming, other=pot.name, is_own=True)
        return ShownReceipt(receipt, "moved", title, recipient)
    if recipient.wallet_id != wallet_id:
        title = words_of(receipt.kind, is_incoming=False, other=recipient.name)
        return ShownReceipt(receipt, "sent", title, recipient)
    title = words_of(receipt.kind, is_incoming=True, other=sender.name)
    return ShownReceipt(receipt, "received", title, sender)
