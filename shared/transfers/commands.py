"""Sending money: to a friend, to a shop, between one's own accounts; and the platform's initial funds.

The PIN was checked by the caller, before any of this. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.calendar import CalendarDay, indian_day
from shared.config import MovementLimits
from shared.idempotency.claims import Answer, Claim
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.accounts import account_of, wallet_of
from shared.ledger.group_commit import GroupCommit
from shared.ledger.limits import Limits, SendingLimit
from shared.ledger.parties import Holder, holder_of_wallet, holders
from shared.ledger.post import Instruction, Replayed
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.models import Account
from shared.outbox.messages import Message
from shared.transfers.errors import RecipientNotFound, SystemUserOnly
from shared.transfers.views import Ends, receipt_for

CREATED = 201


async def plan_transfer(
    session: AsyncSession,
    *,
    owner_id: UUID,
    to: str,
    amount: int,
    claim: Claim,
    limits: MovementLimits,
    note: str | None = None,
    from_account: UUID | None = None,
) -> Instruction:
    """What to post so that `owner_id` pays `to`: a wallet id in any case, or the id of one of the owner's accounts.

    Only what goes to others counts towards the limits, from whichever of the owner's accounts it goes.

    Reads only, so its session can be given back before the money moves. Raises RecipientNotFound, and
    AccountNotFound when `from_account` is not the owner's.
    """
    wallet = await wallet_of(session, owner_id)
    source = wallet if from_account is None else await account_of(session, owner_id, from_account)
    recipient = await _recipient(session, owner_id, to)
    payer = (await holders(session, [source.id]))[source.id]
    ends = Ends(payer, recipient)
    limit = SendingLimit(wallet.id, sending_limits(limits))
    transfer = transfer_between(ends, amount=amount, note=note, initiated_by=owner_id, limit=limit)
    return _instruction(transfer, ends, claim)


def transfer_between(ends: Ends, *, amount: int, note: str | None, initiated_by: UUID, limit: SendingLimit) -> Transfer:
    """A new transfer to a friend (`p2p`), a shop (`payment`), or within one's own, which no limit concerns."""
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


def sending_limits(limits: MovementLimits) -> Limits:
    """What one may send to others today."""
    today = indian_day(clock.now())
    return Limits("transfer", limits.transfer_per_movement_paise, limits.transfer_per_day_paise, today)


def sent(wallet: Account, day: CalendarDay) -> int:
    """Paise that the wallet's owner has sent to others on that day."""
    return wallet.sent_today if wallet.sent_on is not None and wallet.sent_on >= day.date else 0


def require_system_user(*, is_system: bool) -> None:
    """Raises SystemUserOnly. Before any other work, so that nobody else learns which wallets there are."""
    if not is_system:
        raise SystemUserOnly


async def plan_initial_funds(
    session: AsyncSession, *, caller_id: UUID, to: str, amount: int, claim: Claim, note: str | None = None
) -> Instruction:
    """What to post so that the platform funds the wallet `to`. Raises RecipientNotFound."""
    recipient = await holder_of_wallet(session, to)
    if recipient is None:
        raise RecipientNotFound
    platform = (await holders(session, [system_accounts.FUNDING]))[system_accounts.FUNDING]
    ends = Ends(platform, recipient)
    transfer = Transfer(
        id=new_id(),
        kind="funding",
        debit_account_id=platform.account_id,
        credit_account_id=recipient.account_id,
        amount=amount,
        note=note,
        initiated_by=caller_id,
    )
    return _instruction(transfer, ends, claim)


async def carry_out(group_commit: GroupCommit, instruction: Instruction) -> Answer:
    """Move the money and answer with the receipt; a repeated key gets its first answer.

    Raises InsufficientFunds, LimitExceeded, SameAccount, AccountClosed, IdempotencyKeyReused,
    RequestInFlight: then nothing moved. Raises LedgerBusy when that is not known: the movement may still happen, and
    the same key, sent again, tells.
    """
    outcome = await group_commit.post(instruction)
    match outcome:
        case Replayed():
            return outcome.answer
        case Rejected():
            raise outcome.error
        case Posted():
            assert instruction.answer is not None
            return instruction.answer(outcome)


async def _recipient(session: AsyncSession, owner_id: UUID, to: str) -> Holder:
    account_id = as_id(to)
    if account_id is None:
        found = await holder_of_wallet(session, to)
    else:  # an id names one's own accounts only: those of others are reached by wallet id
        found = (await holders(session, [account_id])).get(account_id)
        found = found if found is not None and found.owner_id == owner_id else None
    if found is None:
        raise RecipientNotFound
    return found


def as_id(text: str) -> UUID | None:
    """The account id that somebody wrote as a recipient, or None for a wallet id."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _instruction(transfer: Transfer, ends: Ends, claim: Claim) -> Instruction:
    assert transfer.initiated_by is not None
    return Instruction(
        transfer,
        claim,
        answer=partial(_answer, ends, transfer.initiated_by),
        messages=partial(messages_for, ends),
    )


def _answer(ends: Ends, reader: UUID, posted: Posted) -> Answer:
    return Answer(CREATED, receipt_for(posted, ends, reader).body())


def messages_for(ends: Ends, posted: Posted) -> Sequence[Message]:
    """The mail to whoever received the money; none for a move between one's own accounts."""
    recipient = ends.credit.owner_id
    transfer = posted.command
    assert isinstance(transfer, Transfer)
    if recipient is None or ends.is_internal:
        return ()
    facts = {
        "amount": transfer.amount,
        "from_name": ends.seen_by(recipient)[0].name,
        "note": transfer.note,
        "transfer_id": str(transfer.id),
    }
    return (Message("money_received", recipient, facts),)
