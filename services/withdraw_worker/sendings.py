"""Which scheduler sends regular tasks, and when each was sent last: in Postgres, so that any number of them agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.db.engine import SessionMaker
from shared.models import Lease, ScheduledTask

LEASE = "scheduler"


async def take_lease(sessionmaker: SessionMaker, holder: str, seconds: float) -> bool:
    """Take the lease for so many seconds from now, or prolong it. False: another scheduler has it."""
    now = func.clock_timestamp()
    taken = insert(Lease).values(
        name=LEASE, holder=holder, expires_at=now + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    )
    taken = taken.on_conflict_do_update(
        index_elements=[Lease.name],
        set_={"holder": taken.excluded.holder, "expires_at": taken.excluded.expires_at},
        where=or_(Lease.holder == holder, Lease.expires_at <= now),
    )
    async with sessionmaker.begin() as session:
        return await session.scalar(taken.returning(Lease.name)) is not None


async def give_back(sessionmaker: SessionMaker, holder: str) -> None:
    """Let another scheduler take the lease at once, if this one has it."""
    async with sessionmaker.begin() as session:
        await session.execute(update(Lease).where(_is_held_by(holder)).values(expires_at=func.clock_timestamp()))


async def counted_from(sessionmaker: SessionMaker, names: Iterable[str], now: datetime) -> dict[str, datetime]:
    """From when each task is counted: its last sending, or `now` if no scheduler knew of it before."""
    listed = list(names)
    async with sessionmaker.begin() as session:
        new = insert(ScheduledTask).values([{"name": name, "counted_from": now} for name in listed])
        await session.execute(new.on_conflict_do_nothing())
        found = await session.scalars(select(ScheduledTask).where(ScheduledTask.name.in_(listed)))
        return {each.name: each.counted_from for each in found}


async def send_once(
    sessionmaker: SessionMaker, holder: str, name: str, send: Callable[[], None], *, last: datetime, now: datetime
) -> bool:
    """Send a task, from a thread, and record that together. False: this is not ours, or was done by another one.

    A failed send is not recorded. After a crash between the two, the next scheduler sends it again.
    """
    ours = update(ScheduledTask).where(
        ScheduledTask.name == name,
        ScheduledTask.counted_from == last,
        select(Lease.name).where(_is_held_by(holder), Lease.expires_at > func.clock_timestamp()).exists(),
    )
    async with sessionmaker.begin() as session:
        if await session.scalar(ours.values(counted_from=now).returning(ScheduledTask.name)) is None:
            return False
        await asyncio.to_thread(send)
    return True


def _is_held_by(holder: str) -> ColumnElement[bool]:
    return (Lease.name == LEASE) & (Lease.holder == holder)
