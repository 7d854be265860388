"""Write the audit trail: a task beside the requests, and one row at once for commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import Kind
from shared.audit.trail import Fold, Trail, begin_at_zero
from shared.audit.trail import trail as of_process
from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.ids import new_id
from shared.models import AuditEvent

WRITE_SECONDS = 2.0
"""Between two looks at what is to be written. A process that is killed loses so much of its trail at most."""
STOP_SECONDS = 3.0
"""How long a process that stops tries to write the rest."""
PURGE_BATCH = 5000
"""Events deleted in one transaction, ninety days after the last of their repeats: the schema refuses it earlier."""

_LOST = Counter("batua_audit_events_lost", "Audited events that could not be written before the process stopped")
# The first condition is a range of the key, so that no row pays for an index that only this statement would use. An id
# is made when its row is written, at most ten minutes after the last repeat.
_PURGE = text("""
    DELETE FROM audit_events WHERE id IN (
        SELECT id FROM audit_events
        WHERE id < CAST(lpad(to_hex(CAST(extract(epoch FROM now() - interval '90 days') * 1000 AS bigint)), 12, '0')
                        || repeat('0', 20) AS uuid)
          AND last_at <= now() - interval '90 days'
        ORDER BY id LIMIT :limit
    )
""")

_logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_trail(
    sessionmaker: SessionMaker, name_of_request: Callable[[], str | None], *, trail: Trail = of_process
) -> AsyncIterator[Trail]:
    """Write the trail every WRITE_SECONDS, and what is left at the end."""
    trail.name_of_request = name_of_request
    begin_at_zero()
    writer = asyncio.create_task(_keep_writing(sessionmaker, trail))
    try:
        yield trail
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        await _write_rest(sessionmaker, trail)


async def write_due(sessionmaker: SessionMaker, trail: Trail, *, everything: bool = False) -> int:
    """Write what is due in one transaction. Returns how many rows."""
    folds = trail.take(clock.now(), everything=everything)
    try:
        if folds:
            async with sessionmaker.begin() as session:
                await session.execute(insert(AuditEvent), [_row(fold) for fold in folds])
    except BaseException:
        trail.give_back(folds)
        raise
    return len(folds)


def add_command(
    session: AsyncSession, *, what: str, operator: str, facts: dict[str, Any], owner_id: UUID | None = None
) -> None:
    """Add an operator's command, about this owner, to the caller's transaction. `facts` never hold a secret."""
    now = clock.now()
    session.add(
        AuditEvent(
            id=new_id(),
            kind=Kind.OPERATOR_COMMAND,
            what=what,
            owner_id=owner_id,
            operator=operator,
            count=1,
            first_at=now,
            last_at=now,
            facts=facts,
        )
    )


async def purge(session: AsyncSession) -> int:
    """Delete one batch of events that are older than ninety days. Answers how many."""
    return int(getattr(await session.execute(_PURGE, {"limit": PURGE_BATCH}), "rowcount", 0))


async def _keep_writing(sessionmaker: SessionMaker, trail: Trail) -> None:
    is_late = False
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        try:
            await write_due(sessionmaker, trail)
            is_late = False
        except Exception as error:  # whatever it is, the events stay in memory, and nothing else waits for them
            if not is_late:
                _logger.warning("the audit trail waits: %s", type(error).__name__, exc_info=not is_outage(error))
            is_late = True


async def _write_rest(sessionmaker: SessionMaker, trail: Trail) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await write_due(sessionmaker, trail, everything=True)
    except Exception as error:
        lost = sum(fold.count for fold in trail.take(clock.now(), everything=True))
        _LOST.inc(lost)
        _logger.error("%d audited events are lost: %s", lost, type(error).__name__)


def _row(fold: Fold) -> dict[str, Any]:
    subject = fold.subject
    return {
        "id": new_id(),
        "kind": subject.kind,
        "what": subject.what,
        "owner_id": subject.owner_id,
        "operator": None,
        "address": subject.address,
        "request_id": fold.request_id,
        "count": fold.count,
        "first_at": fold.first_at,
        "last_at": fold.last_at,
        "facts": {},
    }
