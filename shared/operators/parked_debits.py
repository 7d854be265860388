"""End a debit that lies in suspense: collect it from the owner whose it is, or book it as a fee of the bank.

One new transfer to suspense, of the amount that was parked; what was written before stays. A debit ends once: Postgres
keeps one action of its transfer that is carried out, and that action names the id of the one transfer that ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.ledger.errors import AccountFrozen, InsufficientFunds
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, OperatorAction, Withdrawal
from shared.models.operator_action import Action
from shared.operators import actions, suspense
from shared.operators.errors import (
    FrozenToCollect,
    OwnerOfDebitDiffers,
    OwnerOfDebitNotKnown,
    ParkedDebitCameBack,
    ParkedDebitEnded,
    ParkedDebitNotFound,
    ParkedDebitsAlike,
    TooLittleToCollect,
    WithdrawalOfDebitRuns,
)

# What takes a parked credit back is a debit of suspense, too, and no debit of a bank.
_PARKED = text("""
    SELECT t.id AS transfer_id, bank.name AS bank, t.note, t.amount, t.initiated_by AS owner_id,
           done.action AS ended_by, CAST(done.id AS text) AS ended_in
    FROM entries e
    JOIN transfers t ON t.id = e.transfer_id AND t.kind = 'adjustment' AND t.reverses IS NULL
    JOIN accounts bank ON bank.id = t.credit_account_id AND bank.kind = 'bank_settlement'
    LEFT JOIN operator_actions done
      ON done.subject_id = t.id AND done.done_in IS NOT NULL AND done.action IN ('collect', 'book_fee')
    WHERE e.account_id = :suspense AND e.direction = 'DEBIT' AND :name IN (t.note, CAST(t.id AS text))
      AND (CAST(:bank AS text) IS NULL OR bank.name = :bank)
    ORDER BY e.seq
""")


@dataclass(frozen=True, slots=True)
class ParkedDebit:
    """Money that left at a bank and is booked from suspense by `transfer_id`. `amount` is paise."""

    transfer_id: UUID
    bank: str
    note: str | None
    amount: int
    owner_id: UUID | None
    """Whom the bank named."""
    ended_by: str | None
    ended_in: str | None

    @property
    def reference(self) -> str:
        """As `batua suspense list` has it."""
        return str(self.transfer_id) if self.note is None else self.note


async def propose_collect(
    session: AsyncSession, name: str, reason: str, *, bank: str | None = None, owner_id: UUID | None = None
) -> OperatorAction:
    """Propose to take the debit of this reference, or of this transfer, from its owner.

    The owner is whose payment it was, or whom the bank named; only where neither is known, whom the operator names.
    Raises ParkedDebitNotFound, ParkedDebitsAlike, ParkedDebitEnded, ParkedDebitCameBack, OwnerOfDebitNotKnown,
    OwnerOfDebitDiffers, WithdrawalOfDebitRuns, TooLittleToCollect, FrozenToCollect, NotAnOperator.
    """
    debit = await _open_debit(session, name, bank)
    await _require_ended(session, debit)
    known = await _owner_of(session, debit)
    payer_id = known or owner_id
    if payer_id is None:
        raise OwnerOfDebitNotKnown
    account = await _account_of(session, payer_id)
    if owner_id not in (None, payer_id):
        raise OwnerOfDebitDiffers(_handle(account))
    if account.frozen_at is not None:
        raise FrozenToCollect(_handle(account))
    if account.balance - account.held < debit.amount:
        raise TooLittleToCollect(_handle(account), debit.amount, account.balance, account.held)
    whose = {"wallet_id": account.handle, "owner_id": str(payer_id), "account_id": str(account.id)}
    return await actions.record(
        session, Action.COLLECT, subject_id=debit.transfer_id, reason=reason, arguments=_said_of(debit) | whose
    )


async def propose_book_fee(session: AsyncSession, name: str, reason: str, *, bank: str | None = None) -> OperatorAction:
    """Propose to book the debit of this reference, or of this transfer, as a fee: the platform pays it.

    Raises ParkedDebitNotFound, ParkedDebitsAlike, ParkedDebitEnded, ParkedDebitCameBack, OwnerOfDebitDiffers if it is
    an owner's, NotAnOperator.
    """
    debit = await _open_debit(session, name, bank)
    known = await _owner_of(session, debit)
    if known is not None:
        raise OwnerOfDebitDiffers(_handle(await _account_of(session, known)))
    return await actions.record(
        session, Action.BOOK_FEE, subject_id=debit.transfer_id, reason=reason, arguments=_said_of(debit)
    )


async def end(session: AsyncSession, action: OperatorAction) -> str:
    """Carry out an action that is confirmed in this transaction; answers its outcome.

    Raises TooLittleToCollect, FrozenToCollect, ParkedDebitNotFound, ParkedDebitCameBack.
    """
    found = await _parked(session, str(action.subject_id))
    debit = next((each for each in found if each.transfer_id == action.subject_id), None)
    if debit is None:
        raise ParkedDebitNotFound
    is_fee = action.action is Action.BOOK_FEE
    payer = system_accounts.FEES if is_fee else UUID(action.arguments["account_id"])
    transfer = Transfer(
        UUID(action.arguments["transfer_id"]),
        "adjustment",
        payer,
        system_accounts.SUSPENSE,
        debit.amount,
        note=debit.note,
    )
    try:
        await post_one(session, transfer)
    except (InsufficientFunds, AccountFrozen) as error:
        account = await session.get_one(Account, payer, populate_existing=True)
        if isinstance(error, AccountFrozen):
            raise FrozenToCollect(_handle(account)) from None
        raise TooLittleToCollect(_handle(account), debit.amount, account.balance, account.held) from None
    # After the transfer, which has locked the account of suspense: no line of this reference can be added any more.
    change = await _left_over(session, debit)
    if change > 0:
        raise ParkedDebitCameBack(max(0, debit.amount - change))
    return "booked as a fee" if is_fee else "collected"


def _said_of(debit: ParkedDebit) -> dict[str, Any]:
    """What an action that ends it says, whichever it is. The id makes its transfer the only one."""
    return {
        "reference": debit.reference,
        "bank": debit.bank,
        "amount": debit.amount,
        "transfer_id": str(new_id()),
    }


async def _open_debit(session: AsyncSession, name: str, bank: str | None) -> ParkedDebit:
    found = await _parked(session, name, bank)
    if not found:
        raise ParkedDebitNotFound
    still_open = [debit for debit in found if debit.ended_by is None]
    if not still_open:
        raise ParkedDebitEnded(found[-1].ended_by, found[-1].ended_in)
    if len(still_open) > 1:
        raise ParkedDebitsAlike([(str(debit.transfer_id), debit.bank, debit.amount) for debit in still_open])
    (debit,) = still_open
    lacks = max(0, -await _left_over(session, debit))
    if lacks < debit.amount:
        raise ParkedDebitCameBack(lacks)
    return debit


async def _parked(session: AsyncSession, name: str, bank: str | None = None) -> list[ParkedDebit]:
    values = {"suspense": system_accounts.SUSPENSE, "name": name, "bank": bank}
    return [ParkedDebit(**row) for row in (await session.execute(_PARKED, values)).mappings()]


async def _left_over(session: AsyncSession, debit: ParkedDebit) -> int:
    """What all lines of its reference leave over: negative, what is still to be ended."""
    found = await suspense.suspense(session, bank=debit.bank, reference=debit.reference, limit=1)
    return found.came_in - found.left


async def _owner_of(session: AsyncSession, debit: ParkedDebit) -> UUID | None:
    found = await suspense.suspense(session, bank=debit.bank, reference=debit.reference, limit=1)
    return debit.owner_id or next((item.owner_id for item in found.items), None)


async def _require_ended(session: AsyncSession, debit: ParkedDebit) -> None:
    """Raises WithdrawalOfDebitRuns. One that has ended stays so, and a new one has a reference of its own."""
    try:
        withdrawal = await session.get(Withdrawal, UUID(debit.reference))
    except ValueError:
        return  # a reference of the bank's own
    if withdrawal is not None and withdrawal.bank == debit.bank and not withdrawal.status.is_final:
        raise WithdrawalOfDebitRuns(str(withdrawal.id), withdrawal.status)


async def _account_of(session: AsyncSession, owner_id: UUID) -> Account:
    statement = select(Account).where(Account.owner_id == owner_id, Account.kind.in_(SPENDABLE_KINDS))
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()


def _handle(account: Account) -> str:
    assert account.handle is not None
    return account.handle
