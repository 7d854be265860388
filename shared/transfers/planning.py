"""What a transfer consists of: its kind, its limit, the mail to its recipient. Pure; amounts in paise."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from shared.ids import new_id
from shared.ledger.limits import SendingLimit
from shared.ledger.rules import Posted, Transfer
from shared.outbox.messages import Message
from shared.transfers.views import Ends


def transfer_between(ends: Ends, *, amount: int, note: str | None, initiated_by: UUID, limit: SendingLimit) -> Transfer:
    """A new transfer: `payment` to a shop, `p2p` otherwise. A transfer between one owner's accounts has no limit."""
    return Transfer(
        id=new_id(),
        kind="payment" if ends.credit.kind == "merchant" else "p2p",
        debit_account_id=ends.debit.account_id,
        credit_account_id=ends.credit.account_id,
        amount=amount,
        note=note,
        initiated_by=initiated_by,
        limit=None if ends.is_internal else limit,
    )


def account_id_in(to: str) -> UUID | None:
    """The account id that `to` is, or None when `to` is a wallet id."""
    if "@" in to:
        return None
    try:
        return UUID(to)
    except ValueError:
        return None


def mail_to_recipient(ends: Ends, posted: Posted) -> Sequence[Message]:
    """The mail that tells the recipient of money from another owner; none within one owner's accounts."""
    recipient = ends.credit.owner_id
    transfer = posted.command
    assert isinstance(transfer, Transfer)
    if recipient is None or ends.is_internal:
        return ()
    facts = {
        "amount": transfer.amount,
        "kind": transfer.kind,
        "from_name": ends.seen_by(recipient)[0].name,
        "note": transfer.note,
        "transfer_id": transfer.id,
    }
    return (Message("money_received", recipient, facts),)
