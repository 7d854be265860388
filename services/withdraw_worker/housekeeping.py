"""Regular work in the background: deleting what has expired, sealing the ledger, comparing with the banks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit import writing
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.ids import smallest_id
from shared.models import PinFailure, RevokedToken, WebhookDelivery
from shared.outbox import queue
from shared.proof import runs
from shared.proof.seals import seal
from shared.reconciliation.reconcile import reconcile_bank

_logger = logging.getLogger(__name__)

PIN_FAILURES_KEPT = timedelta(days=1)
"""Far longer than any lockout window."""
INBOX_KEPT = timedelta(days=5 * 366)
"""Five years, which the Prevention of Money-laundering Act asks for (section 12); a trigger refuses to delete sooner. A
notice that comes again after that finds its on-ramp or withdrawal ended, and moves nothing."""
RECONCILED = timedelta(days=2)
"""Each day is compared twice, so that what was under way the first time has ended by the second."""
MAX_ROUNDS = 1000
PURGE_BATCH = 5000

_PurgeBatch = Callable[[AsyncSession], Awaitable[int]]
"""Deletes one batch, and answers how many rows that were."""


async def reconcile_all(sessionmaker: SessionMaker, clients: Mapping[str, BankClient]) -> None:
    """Compare every bank's statement of the last days with our books. A bank that gives none is compared tomorrow."""
    until = clock.now()
    for bank, client in clients.items():
        try:
            report = await reconcile_bank(sessionmaker, client, bank, since=until - RECONCILED, until=until)
        except (BankFailed, Refused) as error:
            _logger.error("no statement from %s: %s; nothing was compared", bank, error.reason)
            continue
        if report.ok:
            _logger.info("%s agrees with us: %d lines", bank, report.matched)
        else:
            _logger.error("%s and we differ in %d lines, %d of them new", bank, len(report.differences), report.filed)


async def purge_keys(sessionmaker: SessionMaker) -> int:
    """Delete expired idempotency keys. Returns how many."""
    return await _purge(sessionmaker, store.purge, store.PURGE_BATCH)


async def purge_mail(sessionmaker: SessionMaker) -> int:
    """Delete messages of the outbox that were sent or given up long ago. Returns how many."""
    return await _purge(sessionmaker, queue.purge, queue.PURGE_BATCH)


async def purge_audit(sessionmaker: SessionMaker) -> int:
    """Delete audited events that are older than ninety days. Returns how many."""
    return await _purge(sessionmaker, writing.purge, writing.PURGE_BATCH)


async def purge_proofs(sessionmaker: SessionMaker) -> int:
    """Delete old runs of the proof. Returns how many."""
    return await _purge(sessionmaker, runs.purge, runs.PURGE_BATCH)


async def purge_tokens(sessionmaker: SessionMaker) -> int:
    """Delete revoked tokens that have expired, and wrong PINs that no longer count. Returns how many."""
    # By the clock of Postgres too: if ours runs ahead, no session that was ended begins to be good again.
    now = func.least(clock.now(), func.now())
    tokens = _batch_of(RevokedToken, RevokedToken.expires_at < now)
    failures = _batch_of(PinFailure, PinFailure.failed_at < now - PIN_FAILURES_KEPT)
    return sum([await _purge(sessionmaker, each, PURGE_BATCH) for each in (tokens, failures)])


async def purge_inbox(sessionmaker: SessionMaker) -> int:
    """Delete notices of the banks that are older than five years. Returns how many."""
    before = clock.now() - INBOX_KEPT
    # Ids are in the order of time, so this reads no more of the index than it deletes.
    is_old = (WebhookDelivery.id < smallest_id(before)) & (WebhookDelivery.received_at < before)
    return await _purge(sessionmaker, _batch_of(WebhookDelivery, is_old), PURGE_BATCH)


def _batch_of(table: type[RevokedToken | PinFailure | WebhookDelivery], is_old: ColumnElement[bool]) -> _PurgeBatch:
    batch = delete(table).where(table.id.in_(select(table.id).where(is_old).limit(PURGE_BATCH)))

    async def purge(session: AsyncSession) -> int:
        return int(getattr(await session.execute(batch), "rowcount", 0))

    return purge


async def _purge(sessionmaker: SessionMaker, purge_batch: _PurgeBatch, size: int) -> int:
    """Delete batch by batch, each in a transaction of its own, until one is not full. Returns how many rows."""
    total = 0
    for _ in range(MAX_ROUNDS):
        async with sessionmaker.begin() as session:
            purged = await purge_batch(session)
        total += purged
        if purged < size:
            break
    return total


async def seal_all(sessionmaker: SessionMaker) -> int:
    """Seal every entry that is committed by now. Returns how many seals that took."""
    for sealed in range(MAX_ROUNDS):
        async with sessionmaker.begin() as session:
            if await seal(session) is None:
                return sealed
    _logger.warning("the ledger grew faster than it could be sealed; the next run seals the rest")
    return MAX_ROUNDS
