"""The commands of this flow: send money, give initial funds. Amounts in paise.

`bulk` sends many transfers at once, `refunds` gives a payment back. The caller of `send` has checked the PIN.
"""

from __future__ import annotations

from functools import partial

from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.group_commit import GroupCommit
from shared.ledger.limits import SendingLimit
from shared.ledger.parties import holder_of_wallet, holders
from shared.ledger.post import Instruction, Replayed
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.transfers.errors import RecipientNotFound, SystemUserOnly
from shared.transfers.limits import sending_limits
from shared.transfers.planning import mail_to_recipient, transfer_between
from shared.transfers.senders import Sender
from shared.transfers.views import Ends, Receipt, receipt_for


async def send(
    request: KeyedRequest[Receipt],
    *,
    sender: Sender,
    amount: int,
    note: str | None = None,
    group_commit: GroupCommit,
    marks: Marks,
    limits: MovementLimits,
) -> Answer:
    """Send `amount` from and to the accounts that `sender` was found for. Answers the receipt.

    A repeated key gets the first answer. Transfers to others count towards the limits; transfers between the owner's
    accounts do not.

    Raises RecipientNotFound, AccountNotFound, InsufficientFunds, LimitExceeded, SameAccount, AccountClosed,
    CurrencyMismatch, IdempotencyKeyReused, RequestInFlight: no money moved. Raises LedgerBusy: the transfer may still
    happen; retry with the same key to find out.
    """
    claim = request.claim(to=sender.to, amount=amount, note=note, from_account=sender.from_account)

    async def work() -> Answer:
        ends = sender.ends
        limit = SendingLimit(sender.wallet.account_id, sending_limits(limits))
        transfer = transfer_between(ends, amount=amount, note=note, initiated_by=request.owner_id, limit=limit)
        return await _post(group_commit, request, claim, transfer, ends)

    return await marks.run(claim, work)


async def give_initial_funds(
    request: KeyedRequest[Receipt],
    *,
    is_system_user: bool,
    to: str,
    amount: int,
    note: str | None = None,
    read_sessionmaker: SessionMaker,
    group_commit: GroupCommit,
    marks: Marks,
) -> Answer:
    """Fund the wallet `to` from the platform's account. Answers the receipt; a repeated key gets the first answer.

    Raises SystemUserOnly before any other work, so that other callers learn nothing about wallets. Raises
    RecipientNotFound, AccountClosed, IdempotencyKeyReused, RequestInFlight; LedgerBusy as `send` does.
    """
    if not is_system_user:
        raise SystemUserOnly
    claim = request.claim(to=to, amount=amount, note=note)

    async def work() -> Answer:
        async with read_sessionmaker() as session:
            recipient = await holder_of_wallet(session, to)
            if recipient is None:
                raise RecipientNotFound
            platform = (await holders(session, [system_accounts.FUNDING]))[system_accounts.FUNDING]
        transfer = Transfer(
            id=new_id(),
            kind="funding",
            debit_account_id=platform.account_id,
            credit_account_id=recipient.account_id,
            amount=amount,
            note=note,
            initiated_by=request.owner_id,
        )
        return await _post(group_commit, request, claim, transfer, Ends(platform, recipient))

    return await marks.run(claim, work)


async def _post(
    group_commit: GroupCommit, request: KeyedRequest[Receipt], claim: Claim, transfer: Transfer, ends: Ends
) -> Answer:
    stored: list[Answer] = []

    def answer(posted: Posted) -> Answer:
        stored[:] = [request.answer(receipt_for(posted, ends, request.owner_id))]
        return stored[0]

    instruction = Instruction(transfer, claim, answer=answer, messages=partial(mail_to_recipient, ends))
    match await group_commit.post(instruction):
        case Posted():
            return stored[0]  # by the attempt that was committed, which is the last
        case Replayed() as replayed:
            return replayed.answer
        case Rejected() as rejected:
            raise rejected.error
