"""Locks by number, for what has no row that could be locked. They are held until the transaction ends.

The functions are in the database and made for its engine (`BATUA_DATABASE_ENGINE`): advisory locks of Postgres, or rows
of a table where an engine has none.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

LOCK = "lock_number"
"""In SQL text: waits for the lock."""
TRY_LOCK = "try_lock_number"
"""In SQL text: takes the lock and answers true, or false at once while another transaction holds it."""

_LOCK = text(f"SELECT {LOCK}(:number)")
_LOCK_NAMED = text(f"SELECT {LOCK}(:room, hashtext(:name))")
_TRY_LOCK = text(f"SELECT {TRY_LOCK}(:number)")


async def lock(session: AsyncSession, number: int) -> None:
    """Wait until no other transaction holds this number, and hold it."""
    await session.execute(_LOCK, {"number": number})


async def lock_named(session: AsyncSession, room: int, name: str) -> None:
    """The same for a name of a room. Two names may meet: then one waits for the other without need."""
    await session.execute(_LOCK_NAMED, {"room": room, "name": name})


async def try_lock(session: AsyncSession, number: int) -> bool:
    """Hold this number, unless another transaction does. Does not wait."""
    return bool(await session.scalar(_TRY_LOCK, {"number": number}))
