"""Find and lock the rows that the flow is about to change."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import OnRamp, Owner
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.errors import OnRampNotFound
from shared.wakeups.commits import wake_after_commit


async def lock_by_id(session: AsyncSession, on_ramp_id: UUID) -> OnRamp:
    """The row as it is now, locked until the transaction ends."""
    on_ramp = (await session.execute(_locked().where(OnRamp.id == on_ramp_id))).scalar_one()
    wake_after_commit(session, [on_ramp.account_id])
    return on_ramp


async def lock_own(session: AsyncSession, owner_id: UUID, on_ramp_id: UUID) -> OnRamp:
    """One of the owner's as it is now, locked until the transaction ends. Raises OnRampNotFound."""
    wanted = _locked().where(OnRamp.id == on_ramp_id, OnRamp.owner_id == owner_id)
    on_ramp = (await session.execute(wanted)).scalar_one_or_none()
    if on_ramp is None:
        raise OnRampNotFound
    wake_after_commit(session, [on_ramp.account_id])
    return on_ramp


async def find_unopened(session: AsyncSession, *, owner_id: UUID, key: str, bank: str, amount: int) -> OnRamp | None:
    """The pending row that an earlier attempt at the same request left behind before the bank had answered.

    Not locked: the caller has claimed the request's idempotency key, so no other transaction looks for it.
    """
    statement = (
        select(OnRamp)
        .where(
            OnRamp.owner_id == owner_id,
            OnRamp.idempotency_key == key,
            OnRamp.bank == bank,
            OnRamp.amount == amount,
            OnRamp.status == OnRampStatus.PENDING,
            OnRamp.token.is_(None),
        )
        .order_by(OnRamp.id.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def lock_pending(session: AsyncSession, owner_id: UUID) -> tuple[int, datetime | None]:
    """How many of the owner's are pending, and when the first is asked about. The owner is locked, so both hold
    until the transaction ends.
    """
    await session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))
    statement = select(func.count(), func.min(OnRamp.next_enquiry_at))
    pending = statement.where(OnRamp.owner_id == owner_id, OnRamp.status == OnRampStatus.PENDING)
    count, soonest = (await session.execute(pending)).one()
    return count, soonest


async def take_due(session: AsyncSession, *, now: datetime, leased_until: datetime, limit: int) -> list[OnRamp]:
    """Pending rows whose enquiry is due. No other worker gets them before `leased_until`.

    The first row of every owner comes before the second row of any, the longest due first, so that an owner with many
    rows does not delay the others.
    """
    is_due = (OnRamp.status == OnRampStatus.PENDING, OnRamp.next_enquiry_at <= now)
    turn = func.row_number().over(partition_by=OnRamp.owner_id, order_by=OnRamp.next_enquiry_at)
    turns = select(OnRamp.id, turn.label("turn")).where(*is_due).cte("turns")
    due = (
        select(OnRamp.id)
        .join(turns, turns.c.id == OnRamp.id)
        .where(*is_due)
        .order_by(turns.c.turn, OnRamp.next_enquiry_at)
        .limit(limit)
        .with_for_update(of=OnRamp, skip_locked=True, key_share=True)
    )
    # A CTE, so that the rows are picked and locked once, whatever plan the UPDATE gets.
    picked = due.cte("picked")
    statement = (
        update(OnRamp)
        .where(OnRamp.id.in_(select(picked.c.id)))
        .values(next_enquiry_at=leased_until)
        .returning(OnRamp)
        .execution_options(synchronize_session=False)
    )
    return list((await session.execute(statement)).scalars())


def _locked() -> Select[OnRamp]:
    return select(OnRamp).with_for_update(key_share=True).execution_options(populate_existing=True)
