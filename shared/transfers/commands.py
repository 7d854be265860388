"""The commands of this flow: send money, give initial funds. Amounts in paise.

`bulk` sends many transfers at once, `refunds` gives a payment back. The caller of `send` has checked the PIN.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import EmailUnverified
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
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
from shared.quotas.quotas import Quotas
from shared.transfers.errors import RecipientNotFound, SystemUserOnly
from shared.transfers.limits import funding_limits, sending_limits
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
    quotas: Quotas,
) -> Answer:
    """Send `amount` from and to the accounts that `sender` was found for. Answers the receipt.

    A repeated key gets the first answer. Transfers to others count towards the limits; transfers between the owner's
    accounts do not.

    Raises RecipientNotFound, AccountNotFound, InsufficientFunds, LimitExceeded, SameAccount, AccountClosed,
    AccountFrozen, CurrencyMismatch, IdempotencyKeyReused, RequestInFlight, TooManyKeys, TooManySmallTransfers,
    EmailUnverified: no money moved. Raises LedgerBusy: the transfer may still happen; retry with the same key to find
    out.
    """
    claim = request.claim(to=sender.to, amount=amount, note=note, from_account=sender.from_account)

    async def work() -> Answer:
        ends = sender.ends
        if sender.is_unverified and not ends.is_internal:
            raise EmailUnverified
        limit = SendingLimit(sender.wallet.account_id, sending_limits(limits))
        transfer = transfer_between(ends, amount=amount, note=note, initiated_by=request.owner_id, limit=limit)
        return await _post(group_commit, request, claim, transfer, ends)

    is_small = amount < quotas.small_below and sender.is_for_another
    return await marks.run(claim, work, quotas=(quotas.small_transfers,) if is_small else ())


async def give_initial_funds(
    request: KeyedRequest[Receipt],
    *,
    is_system_user: bool,
    check_pin: Callable[[], Awaitable[None]],
    to: str,
    amount: int,
    note: str | None = None,
    read_sessionmaker: SessionMaker,
    group_commit: GroupCommit,
    marks: Marks,
    limits: MovementLimits,
) -> Answer:
    """Fund the wallet `to` from the platform's account. Answers the receipt; a repeated key gets the first answer.

    Raises SystemUserOnly before any other work, so that other callers learn nothing about wallets and no PIN of theirs
    is counted; then what `check_pin` raises. Raises RecipientNotFound, LimitExceeded (the account's row counts what all
    of the platform's users give in a day), AccountClosed, IdempotencyKeyReused, RequestInFlight; LedgerBusy as `send`
    does.
    """
    if not is_system_user:
        raise SystemUserOnly
    await check_pin()
    claim = request.claim(to=to, amount=amount, note=note)

    async def work() -> Answer:
        ends = await in_transaction(read_sessionmaker, lambda session: _ends_of_gift(session, to))
        transfer = Transfer(
            id=new_id(),
            kind="funding",
            debit_account_id=ends.debit.account_id,
            credit_account_id=ends.credit.account_id,
            amount=amount,
            note=note,
            initiated_by=request.owner_id,
            limit=SendingLimit(ends.debit.account_id, funding_limits(limits)),
        )
        return await _post(group_commit, request, claim, transfer, ends)

    return await marks.run(claim, work)


async def _ends_of_gift(session: AsyncSession, to: str) -> Ends:
    recipient = await holder_of_wallet(session, to)
    if recipient is None:
        raise RecipientNotFound
    return Ends((await holders(session, [system_accounts.FUNDING]))[system_accounts.FUNDING], recipient)


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
