"""Whether a payout that a worker has claimed may still leave: the last look, right before the bank is called.

A claim passes frozen accounts over, but a freeze may come after it. One statement answers for all payouts that are
about to be sent at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.direct import IS_STANDBY, of_primary
from shared.db.gather import Gather

_STOPPED = f"""
    SELECT account.frozen_at IS NOT NULL, {IS_STANDBY}
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place)
    JOIN withdrawals AS withdrawal ON withdrawal.id = asked.id
    JOIN accounts AS account ON account.id = withdrawal.account_id
    ORDER BY asked.place
"""  # noqa: S608 - constants of this code


class Freezes:
    """Asks for the payouts of one worker, on the engine of gathered questions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._gather = Gather(engine, _ask_all)

    async def stop(self, withdrawal_id: UUID, owner_id: UUID) -> bool:
        """Whether the account is frozen, as of now. Raises what the driver raises: then nothing may be sent."""
        return await self._gather.ask(withdrawal_id, owner_id)


async def _ask_all(connection: asyncpg.Connection, withdrawal_ids: Sequence[UUID]) -> list[bool]:
    return [row[0] for row in of_primary(await connection.fetch(_STOPPED, withdrawal_ids))]
