"""On-ramps and withdrawals in any state, and the statement a bank would write about them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.messages import StatementItem
from shared.ids import new_id, new_token
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import CaptureHold, PlaceHold, ReleaseHold, Transfer
from shared.models import Account, OnRamp, Withdrawal
from shared.models.on_ramp import OnRampStatus
from shared.models.withdrawal import WithdrawalStatus

BankMove = tuple[str, Literal["CREDIT", "DEBIT"], int]
"""Reference, direction, amount in paise."""


async def create_on_ramp(
    session: AsyncSession, wallet: Account, amount: int, *, bank: str = "hdfc", status: str = "success"
) -> OnRamp:
    """An on-ramp into the wallet; a successful one with its transfer."""
    assert wallet.owner_id is not None
    transfer_id = None
    if status == "success":
        transfer = Transfer(new_id(), "onramp", system_accounts.SETTLEMENT[bank], wallet.id, amount)
        await post_one(session, transfer)
        transfer_id = transfer.id
    on_ramp = OnRamp(
        id=new_id(),
        owner_id=wallet.owner_id,
        account_id=wallet.id,
        bank=bank,
        amount=amount,
        currency="INR",
        status=OnRampStatus(status),
        idempotency_key=new_token(),
        token=new_token(),
        redirect_url=None,
        bank_reference=None,
        failure_reason=None,
        transfer_id=transfer_id,
        is_late_success=False,
        is_contradicted=False,
        next_enquiry_at=clock.now() if status == "pending" else None,
        created_at=clock.now(),
        settled_at=None if status == "pending" else clock.now(),
    )
    session.add(on_ramp)
    await session.flush()
    return on_ramp


async def create_withdrawal(
    session: AsyncSession, wallet: Account, amount: int, *, bank: str = "hdfc", status: str = "succeeded"
) -> Withdrawal:
    """A withdrawal out of the wallet, its hold and transfers as its status has them."""
    assert wallet.owner_id is not None
    hold_id, transfer_id, reversal_id = new_id(), None, None
    await post_one(session, PlaceHold(hold_id, wallet.id, amount))
    if status in ("succeeded", "reversed"):
        transfer_id = new_id()
        payout = Transfer(transfer_id, "payout", wallet.id, system_accounts.SETTLEMENT[bank], amount)
        await post_one(session, CaptureHold(hold_id, payout))
    elif WithdrawalStatus(status).is_final:
        await post_one(session, ReleaseHold(hold_id, wallet.id))
    if status == "reversed":
        reversal_id = new_id()
        back = Transfer(
            reversal_id, "payout_reversal", system_accounts.SETTLEMENT[bank], wallet.id, amount, reverses=transfer_id
        )
        await post_one(session, back)
    withdrawal = Withdrawal(
        id=new_id(),
        owner_id=wallet.owner_id,
        account_id=wallet.id,
        bank=bank,
        account_number="123456789012",
        ifsc="HDFC0000001",
        account_holder="Asha Rao",
        amount=amount,
        currency="INR",
        status=WithdrawalStatus(status),
        hold_id=hold_id,
        transfer_id=transfer_id,
        reversal_transfer_id=reversal_id,
        utr=None,
        failure_reason=None,
        attempts=0,
        lease_id=None,
        lease_expires_at=None,
        next_attempt_at=None,
        first_not_found_at=None,
        active_since=None,
        created_at=clock.now(),
        finished_at=clock.now() if WithdrawalStatus(status).is_final else None,
    )
    session.add(withdrawal)
    await session.flush()
    return withdrawal


def bank_statement(moves: Iterable[BankMove], *, start: datetime | None = None) -> list[StatementItem]:
    """The nodal account's statement over the moves, one second apart, ending now unless `start` is given."""
    listed = list(moves)
    at = start or clock.now() - timedelta(seconds=len(listed))
    items: list[StatementItem] = []
    balance = 0
    for number, (reference, direction, amount) in enumerate(listed):
        balance += amount if direction == "CREDIT" else -amount
        items.append(
            StatementItem(
                at=at + timedelta(seconds=number),
                direction=direction,
                amount=amount,
                reference=reference,
                utr=f"HDFCN26324{number:06d}",
                balance_after=balance,
            )
        )
    return items
