"""Find and lock the rows that the flow is about to change. A withdrawal's row is locked before any account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.columns import sql_values
from shared.models import Withdrawal
from shared.models.proof_run import STANDS
from shared.models.recovery import UNFINISHED
from shared.models.withdrawal import WithdrawalStatus
from shared.wakeups.commits import wake_after_commit
from shared.withdrawals.errors import WithdrawalNotFound

_COLUMNS = ", ".join(column.name for column in Withdrawal.__table__.columns)
_ACTIVE = sql_values(WithdrawalStatus.active())
_SENT_FROM = sql_values(status for status in WithdrawalStatus if status.may_be_sent)
# An active withdrawal of the owner, or an earlier one in the queue, may be at another bank. The bank is a range of one,
# because the order then comes from the index of the queue, never from the primary key, which begins with all history.
# While a failure of the proof stands, a recovery is unfinished, or the account is frozen, nothing is sent; what a bank
# may have already is asked for and settled as ever.
_DUE = text(f"""
    WITH free AS MATERIALIZED (
        SELECT bank, number FROM unnest(CAST(:banks AS text[]), CAST(:numbers AS integer[])) AS free (bank, number)
    ),
    books AS MATERIALIZED (
        SELECT NOT EXISTS (SELECT FROM proof_runs WHERE {STANDS})
               AND NOT EXISTS (SELECT FROM recoveries WHERE {UNFINISHED}) AS hold
    ),
    frozen AS MATERIALIZED (
        SELECT id FROM accounts WHERE frozen_at IS NOT NULL
    ),
    under_way AS MATERIALIZED (
        SELECT due.* FROM free CROSS JOIN LATERAL (
            SELECT {_COLUMNS} FROM withdrawals
            WHERE bank = free.bank AND status IN {_ACTIVE} AND (next_attempt_at IS NULL OR next_attempt_at <= :now)
              AND (status NOT IN {_SENT_FROM}
                   OR (SELECT hold FROM books) AND account_id NOT IN (SELECT id FROM frozen))
              AND (CAST(:owner_id AS uuid) IS NULL OR owner_id = :owner_id)
            ORDER BY next_attempt_at NULLS FIRST LIMIT free.number FOR UPDATE SKIP LOCKED
        ) AS due
    ),
    queued AS MATERIALIZED (
        SELECT due.* FROM free CROSS JOIN LATERAL (
            SELECT {_COLUMNS} FROM withdrawals AS queued
            WHERE bank BETWEEN free.bank AND free.bank AND status = 'queued' AND (SELECT hold FROM books)
              AND account_id NOT IN (SELECT id FROM frozen)
              AND (CAST(:owner_id AS uuid) IS NULL OR owner_id = :owner_id)
              AND NOT EXISTS (
                SELECT FROM withdrawals AS other WHERE other.owner_id = queued.owner_id AND other.status IN {_ACTIVE}
              )
              AND NOT EXISTS (
                SELECT FROM withdrawals AS earlier
                WHERE earlier.owner_id = queued.owner_id AND earlier.status = 'queued' AND earlier.id < queued.id
              )
            ORDER BY bank, id LIMIT free.number - (SELECT count(*) FROM under_way WHERE under_way.bank = free.bank)
            FOR UPDATE SKIP LOCKED
        ) AS due
    )
    SELECT * FROM under_way UNION ALL SELECT * FROM queued
""").columns(*Withdrawal.__table__.columns)  # noqa: S608 - columns and statuses of the models


async def lock(session: AsyncSession, withdrawal_id: UUID) -> Withdrawal | None:
    """The row as it is now, locked until the transaction ends."""
    return await _locked(session, select(Withdrawal).where(Withdrawal.id == withdrawal_id))


async def lock_own(session: AsyncSession, owner_id: UUID, withdrawal_id: UUID) -> Withdrawal:
    """The owner's own row, locked. Raises WithdrawalNotFound, for those of others too."""
    statement = select(Withdrawal).where(Withdrawal.id == withdrawal_id, Withdrawal.owner_id == owner_id)
    withdrawal = await _locked(session, statement)
    if withdrawal is None:
        raise WithdrawalNotFound
    return withdrawal


async def lock_all(session: AsyncSession, withdrawal_ids: Iterable[UUID]) -> dict[UUID, Withdrawal]:
    """The rows as they are now, by id, locked in the order of their ids until the transaction ends."""
    statement = select(Withdrawal).where(Withdrawal.id.in_(withdrawal_ids)).order_by(Withdrawal.id)
    found = await session.scalars(statement.with_for_update().execution_options(populate_existing=True))
    withdrawals = {withdrawal.id: withdrawal for withdrawal in found}
    wake_after_commit(session, [withdrawal.account_id for withdrawal in withdrawals.values()])
    return withdrawals


async def lock_due(
    session: AsyncSession, *, free: Mapping[str, int], now: datetime, owner_id: UUID | None = None
) -> list[Withdrawal]:
    """Lock withdrawals for which something can be done now: of each bank at most `free[bank]`, of each owner one.

    First those under way that are due (a leased one is due when its lease expires), the longest due first; then from
    the queue, first come, first served, what no earlier one of the same owner precedes. Rows that others have locked
    are passed over. With `owner_id`, only that owner's. While a failure of the proof stands or a recovery is
    unfinished, none that would be sent; nor any from a frozen account.
    """
    values = {"banks": list(free), "numbers": list(free.values()), "now": now, "owner_id": owner_id}
    found = await session.scalars(select(Withdrawal).from_statement(_DUE), values)
    withdrawals = list(found)
    wake_after_commit(session, [withdrawal.account_id for withdrawal in withdrawals])
    return withdrawals


async def has_active(session: AsyncSession, owner_id: UUID) -> bool:
    """Whether a bank may have one of the owner's: there is at most one."""
    active = select(Withdrawal.id).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.in_(WithdrawalStatus.active())
    )
    return await session.scalar(active.limit(1)) is not None


async def next_due_at(session: AsyncSession, now: datetime) -> datetime | None:
    """When the next of those under way is due after `now`, or None without one."""
    statement = select(func.min(Withdrawal.next_attempt_at)).where(
        Withdrawal.status.in_(WithdrawalStatus.active()), Withdrawal.next_attempt_at > now
    )
    return (await session.execute(statement)).scalar_one()


async def _locked(session: AsyncSession, statement: Select[Withdrawal]) -> Withdrawal | None:
    # Another transaction may have changed the row while this one waited for the lock.
    statement = statement.with_for_update().execution_options(populate_existing=True)
    withdrawal = (await session.scalars(statement)).one_or_none()
    if withdrawal is not None:  # locked in order to be changed
        wake_after_commit(session, [withdrawal.account_id])
    return withdrawal
