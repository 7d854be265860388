"""What an owner is shown of a withdrawal. The account number is masked, always."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from shared.banks.account_numbers import masked
from shared.clock import rfc3339
from shared.models import Withdrawal, WithdrawalEvent
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.errors import WithdrawalNotFound

MAX_RECENT = 200
"""Of an owner's withdrawals, how many are looked through for what is new."""

_WAITING_FOR = {
    "in_flight": "bank_answer",
    "unknown": "bank_answer",
    "waiting": "bank_available",
    "needs_review": "review",
}


async def list_withdrawals(
    session: AsyncSession, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[dict[str, Any]], UUID | None]:
    """The owner's withdrawals, newest first, older than `before`; and the next `before`, if there are more."""
    statement = select(Withdrawal).where(Withdrawal.owner_id == owner_id)
    if before is not None:
        statement = statement.where(Withdrawal.id < before)
    found = list((await session.scalars(statement.order_by(Withdrawal.id.desc()).limit(limit + 1))).all())
    shown = found[:limit]
    positions = await _positions(session, owner_id, shown)
    items = [body(withdrawal, positions.get(withdrawal.id)) for withdrawal in shown]
    return items, shown[-1].id if len(found) > limit else None


async def recent_withdrawals(session: AsyncSession, *, owner_id: UUID, since: datetime) -> list[dict[str, Any]]:
    """The owner's withdrawals that are not finished or finished `since` then, oldest first, as they stand.

    Each with the `latest` step of its timeline.
    """
    statement = (
        select(Withdrawal)
        .where(
            Withdrawal.owner_id == owner_id,
            or_(Withdrawal.status.not_in(WithdrawalStatus.final()), Withdrawal.finished_at >= since),
        )
        .order_by(Withdrawal.id.desc())
        .limit(MAX_RECENT)
    )
    found = list(reversed((await session.scalars(statement)).all()))
    if not found:
        return []
    positions = await _positions(session, owner_id, found)
    latest = await _latest_steps(session, found)
    return [{**body(each, positions.get(each.id)), "latest": latest.get(each.id)} for each in found]


async def get_withdrawal(session: AsyncSession, *, owner_id: UUID, withdrawal_id: UUID) -> dict[str, Any]:
    """One of the owner's, with its timeline. Raises WithdrawalNotFound, for those of others too."""
    withdrawal = await session.get(Withdrawal, withdrawal_id)
    if withdrawal is None or withdrawal.owner_id != owner_id:
        raise WithdrawalNotFound
    return await show_whole(session, withdrawal)


async def show(session: AsyncSession, withdrawal: Withdrawal) -> dict[str, Any]:
    """A withdrawal with its place in the queue."""
    positions = await _positions(session, withdrawal.owner_id, [withdrawal])
    return body(withdrawal, positions.get(withdrawal.id))


async def show_whole(session: AsyncSession, withdrawal: Withdrawal) -> dict[str, Any]:
    """A withdrawal with its place in the queue and its timeline."""
    shown = await show(session, withdrawal)
    return {**shown, "timeline": await timeline.read(session, withdrawal.id, withdrawal.bank)}


def body(withdrawal: Withdrawal, position: int | None) -> dict[str, Any]:
    """The withdrawal as JSON. Amounts in paise, times in UTC.

    `position` is 1 for the one being carried out or next, null once finished; `waiting_for` says what it
    takes to go on: earlier_withdrawal, worker, bank_answer, bank_available, review, or null once finished.
    """
    is_under_way = withdrawal.status in ("waiting", "unknown", "needs_review")
    return {
        "id": str(withdrawal.id),
        "status": withdrawal.status,
        "bank": withdrawal.bank,
        "account_number": masked(withdrawal.account_number),
        "ifsc": withdrawal.ifsc,
        "account_holder": withdrawal.account_holder,
        "amount": withdrawal.amount,
        "currency": withdrawal.currency,
        "position": position,
        "waiting_for": _waiting_for(withdrawal.status, position),
        "next_check_at": _time(withdrawal.next_attempt_at) if is_under_way else None,
        "utr": withdrawal.utr,
        "failure_reason": withdrawal.failure_reason,
        "created_at": _time(withdrawal.created_at),
        "finished_at": _time(withdrawal.finished_at),
    }


def _waiting_for(status: str, position: int | None) -> str | None:
    if status == "queued":
        return "worker" if position == 1 else "earlier_withdrawal"
    return _WAITING_FOR.get(status)


async def _positions(session: AsyncSession, owner_id: UUID, shown: Iterable[Withdrawal]) -> dict[UUID, int]:
    if all(withdrawal.status.is_final for withdrawal in shown):
        return {}
    # The active one is always the oldest, so the order of ids is the order of the queue.
    statement = select(Withdrawal.id, func.row_number().over(order_by=Withdrawal.id)).where(
        Withdrawal.owner_id == owner_id, Withdrawal.status.not_in(WithdrawalStatus.final())
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


async def _latest_steps(session: AsyncSession, found: list[Withdrawal]) -> dict[UUID, dict[str, Any]]:
    banks = {withdrawal.id: withdrawal.bank for withdrawal in found}
    statement = (
        select(WithdrawalEvent)
        .where(WithdrawalEvent.withdrawal_id.in_(banks))
        .ext(distinct_on(WithdrawalEvent.withdrawal_id))
        .order_by(WithdrawalEvent.withdrawal_id, WithdrawalEvent.seq.desc())
    )
    steps = await session.scalars(statement)
    return {step.withdrawal_id: timeline.line(step, banks[step.withdrawal_id]) for step in steps}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
