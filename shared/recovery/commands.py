"""Begin and finish the recovery of a database that was restored to a moment in the past.

In between no payout leaves, and the banks' statements are settled: see `settling`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.locks import LOCK
from shared.ids import new_id
from shared.models import Recovery
from shared.models.recovery import UNFINISHED
from shared.recovery.errors import AnotherUnfinished, BooksDiffer, NoneUnfinished
from shared.withdrawals.lost import have_asked_first

_LOCK = text(f"SELECT {LOCK}(hashtext('recoveries'))")


async def begin(session: AsyncSession, *, restored_to: datetime) -> tuple[Recovery, int]:
    """Hold back payouts, and have the bank asked about those in the queue before they are sent.

    Answers the recovery and how many of the queue are newly marked. Beginning it again, with the same moment, goes on
    with it. Raises AnotherUnfinished.
    """
    await session.execute(_LOCK)
    recovery = await _unfinished(session)
    if recovery is None:
        recovery = Recovery(id=new_id(), restored_to=restored_to, begun_at=clock.now())
        session.add(recovery)
        await session.flush()
    elif recovery.restored_to != restored_to:
        raise AnotherUnfinished(recovery.restored_to)
    return recovery, await have_asked_first(session)


async def unfinished(session: AsyncSession) -> Recovery:
    """The recovery that has begun and is not finished. Raises NoneUnfinished."""
    recovery = await _unfinished(session)
    if recovery is None:
        raise NoneUnfinished
    return recovery


async def finish(session: AsyncSession, left: Collection[str]) -> Recovery:
    """Let payouts leave again. `left` are references of the banks that are neither settled nor parked.

    Raises NoneUnfinished, BooksDiffer.
    """
    await session.execute(_LOCK)
    recovery = await unfinished(session)
    if left:
        raise BooksDiffer(len(left))
    recovery.finished_at = clock.now()
    return recovery


async def _unfinished(session: AsyncSession) -> Recovery | None:
    return await session.scalar(select(Recovery).where(text(UNFINISHED)))
