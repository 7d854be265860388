"""One statement that tells for which owners something that their pages show may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.columns import sql_values
from shared.models.withdrawal import WithdrawalStatus

# Four index probes per owner. The wallet's row changes whenever money moves or is held; the others show progress of
# withdrawals and on-ramps that moves no money.
_FINGERPRINTS = text(f"""
    SELECT listening.owner_id, concat_ws('|',
        (SELECT concat_ws('.', seq, held) FROM accounts
         WHERE owner_id = listening.owner_id AND kind IN ('wallet', 'merchant')),
        (SELECT concat_ws('.', id, status, attempts, retries, next_attempt_at) FROM withdrawals
         WHERE owner_id = listening.owner_id AND status IN {sql_values(WithdrawalStatus.active())}),
        (SELECT count(*) FROM withdrawals WHERE owner_id = listening.owner_id AND status = 'queued'),
        (SELECT string_agg(status, ',' ORDER BY id) FROM (
            SELECT id, status FROM on_ramps WHERE owner_id = listening.owner_id ORDER BY id DESC LIMIT 20) AS newest)
    ) AS change_mark
    FROM unnest(CAST(:owner_ids AS uuid[])) AS listening (owner_id)
""")  # noqa: S608 - statuses of the model


async def change_marks(session: AsyncSession, owner_ids: Sequence[UUID]) -> dict[UUID, str]:
    """By owner, a text that differs as soon as something changed."""
    rows = await session.execute(_FINGERPRINTS, {"owner_ids": list(owner_ids)})
    return {row.owner_id: row.change_mark for row in rows}
