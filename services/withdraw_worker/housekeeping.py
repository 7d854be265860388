"""Regular work in the background: deleting what has expired, sealing the ledger, comparing with the banks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete

from shared import clock
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, Refused
from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.models import PinFailure, RevokedToken
from shared.proof.seals import seal
from shared.reconciliation.reconcile import reconcile_bank

_logger = logging.getLogger(__name__)

PIN_FAILURES_KEPT = timedelta(days=1)
"""Far longer than any lockout window."""
RECONCILED = timedelta(days=2)
"""Each day is compared twice, so that what was under way the first time has ended by the second."""
MAX_ROUNDS = 1000


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
    """Delete expired idempotency keys, batch by batch. Returns how many."""
    total = 0
    for _ in range(MAX_ROUNDS):
        async with sessionmaker.begin() as session:
            purged = await store.purge(session)
        total += purged
        if purged < store.PURGE_BATCH:
            break
    return total


async def purge_tokens(sessionmaker: SessionMaker) -> None:
    """Delete revoked tokens that have expired, and wrong PINs that no longer count."""
    now = clock.now()
    async with sessionmaker.begin() as session:
        await session.execute(delete(RevokedToken).where(RevokedToken.expires_at < now))
        await session.execute(delete(PinFailure).where(PinFailure.failed_at < now - PIN_FAILURES_KEPT))


async def seal_all(sessionmaker: SessionMaker) -> int:
    """Seal every entry that is committed by now. Returns how many seals that took."""
    for sealed in range(MAX_ROUNDS):
        async with sessionmaker.begin() as session:
            if await seal(session) is None:
                return sealed
    _logger.warning("the ledger grew faster than it could be sealed; the next run seals the rest")
    return MAX_ROUNDS
