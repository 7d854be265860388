"""Find whatever is due: the safety net under every lost hint, crashed worker and emptied broker."""

from __future__ import annotations

from uuid import UUID

from shared import clock
from shared.db.engine import SessionMaker
from shared.withdrawals import rows


async def owners_to_hint(sessionmaker: SessionMaker, limit: int) -> list[UUID]:
    """Owners for whom something can be done now, the longest waiting first; at most `limit`. Changes nothing."""
    async with sessionmaker() as session:
        return await rows.owners_due(session, clock.now(), limit)
