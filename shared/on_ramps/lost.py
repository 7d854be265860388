"""On-ramps of which the database has lost something: it was restored to a moment before they were begun or opened."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.messages import SessionState
from shared.banks.notices import PaymentNotice
from shared.models import Account, OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.settlement import PaymentOutcome, settle


async def settle_approved(session: AsyncSession, bank: str, on_ramp_id: UUID, state: SessionState) -> PaymentOutcome:
    """Credit the approved session that the bank has under our reference, once; a row that is gone is written again.

    Whose it is, is what the bank was told when the session was opened: a reference without an owner whom the database
    knows has no verdict but UNKNOWN_TOKEN. The caller lets one run at a time do this for a bank.
    """
    on_ramp = await session.get(OnRamp, on_ramp_id, with_for_update={"key_share": True}, populate_existing=True)
    if on_ramp is None:
        wallet = await _wallet_named(session, state.user_id)
        if wallet is not None:
            session.add(_row(bank, on_ramp_id, state, wallet))
    elif on_ramp.token is None and on_ramp.bank == bank:
        on_ramp.token = state.token
    notice = PaymentNotice(bank, "success", state.token, state.user_id, state.amount, state.bank_reference)
    return await settle(session, notice)


async def _wallet_named(session: AsyncSession, user_id: str) -> Account | None:
    try:
        owner_id = UUID(user_id)
    except ValueError:
        return None
    return await session.scalar(select(Account).where(Account.owner_id == owner_id, Account.kind == "wallet"))


def _row(bank: str, on_ramp_id: UUID, state: SessionState, wallet: Account) -> OnRamp:
    assert wallet.owner_id is not None
    return OnRamp(
        id=on_ramp_id,
        owner_id=wallet.owner_id,
        account_id=wallet.id,
        bank=bank,
        amount=state.amount,
        currency=wallet.currency,
        status=OnRampStatus.PENDING,
        idempotency_key=f"restored-{on_ramp_id}",
        token=state.token,
        is_late_success=False,
        is_contradicted=False,
        expires_at=state.expires_at,
        created_at=clock.now(),
    )
