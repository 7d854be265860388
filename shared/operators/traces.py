"""What an operator finds by the id of a trace: the withdrawals and on-ramps that a request with this trace asked for.

No index has traces, so that no payment pays for this search: it reads only the rows since a moment, by their ids.
Transfers and events of the audit trail carry no trace; the log lines of a trace name the former.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import spans
from shared.ids import smallest_id
from shared.models import OnRamp, Withdrawal
from shared.operators import lookups

SEARCHED = timedelta(days=30)
"""How far back a trace is looked for unless an operator says so: collectors and logs rarely keep one longer."""
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


def trace_named(name: str) -> str | None:
    """The id of the trace that this names: 32 hexadecimal digits, or a `traceparent`; else None."""
    return name.lower() if _TRACE_ID.fullmatch(name) else spans.trace_of(name)


async def find(session: AsyncSession, trace_id: str, since: datetime) -> list[lookups.Found]:
    """The newest withdrawals and on-ramps of this trace that were asked for since then, each with all about it."""
    handed_on, first = f"00-{trace_id}-%", smallest_id(since)
    payouts = select(Withdrawal.id).where(Withdrawal.id >= first, Withdrawal.traceparent.like(handed_on))
    attempts = select(OnRamp.id).where(OnRamp.id >= first, OnRamp.traceparent.like(handed_on))
    withdrawals = await session.scalars(payouts.order_by(Withdrawal.id.desc()).limit(lookups.NEWEST))
    on_ramps = await session.scalars(attempts.order_by(OnRamp.id.desc()).limit(lookups.NEWEST))
    found = [
        *[await lookups.withdrawal(session, each) for each in withdrawals.all()],
        *[await lookups.on_ramp(session, each) for each in on_ramps.all()],
    ]
    return [each for each in found if each is not None]
