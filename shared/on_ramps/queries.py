"""What is read of an owner's on-ramps."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from shared.db.reads import Source, fetch
from shared.ids import LAST_ID
from shared.on_ramps.errors import OnRampNotFound
from shared.on_ramps.views import VIEW_COLUMNS, OnRampView, view_from

MAX_RECENT = 20
"""Of an owner's on-ramps, how many are looked through for what is new."""

_ONE = f"SELECT {VIEW_COLUMNS} FROM on_ramps WHERE id = $1 AND owner_id = $2"  # noqa: S608 - fields of the view
_NEWEST = f"""
    SELECT {VIEW_COLUMNS} FROM on_ramps WHERE owner_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3
"""  # noqa: S608 - fields of the view


async def get_on_ramp(source: Source, *, owner_id: UUID, on_ramp_id: UUID) -> OnRampView:
    """One of the owner's on-ramps. Raises OnRampNotFound, for those of others too."""
    rows = await fetch(source, _ONE, on_ramp_id, owner_id)
    if not rows:
        raise OnRampNotFound
    return view_from(rows[0])


async def list_on_ramps(
    source: Source, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[OnRampView], UUID | None]:
    """The owner's on-ramps, newest first, older than `before`; and the next `before`, if there are more."""
    found = await _newest(source, owner_id=owner_id, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def recent_on_ramps(source: Source, *, owner_id: UUID, since: datetime) -> list[OnRampView]:
    """Of the owner's newest MAX_RECENT on-ramps those pending or settled after `since`, oldest first."""
    newest = await _newest(source, owner_id=owner_id, limit=MAX_RECENT, before=None)
    return [each for each in reversed(newest) if each.settled_at is None or each.settled_at >= since]


async def _newest(source: Source, *, owner_id: UUID, limit: int, before: UUID | None) -> list[OnRampView]:
    return [view_from(row) for row in await fetch(source, _NEWEST, owner_id, before or LAST_ID, limit)]
