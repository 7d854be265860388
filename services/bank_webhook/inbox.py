"""Keep an authentic delivery and settle what it is about, in one database transaction: both, or neither."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.bank_webhook.errors import NotCommitted
from services.bank_webhook.gate import Delivery
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.db.engine import SessionMaker
from shared.db.outages import DATABASE_ERRORS, is_outage
from shared.errors import BatuaError
from shared.ids import new_id
from shared.models import WebhookDelivery
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.settlement import settle
from shared.withdrawals.notices import apply_payout_notice

MAX_ATTEMPTS = 3
RETRY_PAUSE_SECONDS = 0.05

_logger = logging.getLogger(__name__)


async def take_in(sessionmaker: SessionMaker, delivery: Delivery, *, within_seconds: float) -> Verdict:
    """Commit the delivery and return its verdict; a copy of one that is finished is `duplicate`.

    Makes at most MAX_ATTEMPTS attempts: a deadlock or a lost connection is usually gone at the next one. A repeated
    attempt is safe even when the one before it was committed. Raises NotCommitted when the database cannot do it in
    time.
    """
    try:
        async with asyncio.timeout(within_seconds):
            for attempt in range(1, MAX_ATTEMPTS + 1):
                try:
                    async with sessionmaker.begin() as session:
                        return await _record(session, delivery)
                except BatuaError as error:
                    # The ledger rejects the bank's money. An operator has to look; the bank delivers the notice again.
                    _logger.error("delivery cannot be settled: %s", error)
                    raise NotCommitted from error
                except DATABASE_ERRORS as error:
                    _logger.warning("delivery not committed, attempt %d: %s", attempt, _cause(error))
                    if not is_outage(error):
                        _logger.error("delivery cannot be committed: %s", _cause(error))
                        break
                # Random pauses, so that two copies that blocked each other do not do so again.
                await asyncio.sleep(RETRY_PAUSE_SECONDS * attempt * (1 + secrets.randbelow(100) / 100))
    except TimeoutError:
        _logger.warning("delivery not committed within %s seconds", within_seconds)
    raise NotCommitted


async def _record(session: AsyncSession, delivery: Delivery) -> Verdict:
    """Record the delivery and settle. Lock order: the inbox row, then the flow's row, then accounts.

    Copies of one delivery wait for each other at the inbox row.
    """
    payload = asdict(delivery.notice)
    row, is_new = await _row_of(session, delivery, delivery.webhook_id)
    if row.payload != payload:
        # It is signed, so the bank sent it. It is handled as a new notice; otherwise a reversal sent under a used id
        # would be lost.
        _logger.error("%s used the webhook id of %s for another message; both are kept", row.bank, row.id)
        row, is_new = await _row_of(session, delivery, f"{delivery.webhook_id}#{_digest(payload)}")
    if not is_new and row.verdict.is_final:
        return Verdict.DUPLICATE
    row.verdict = await _judge(session, row, delivery)
    return row.verdict


async def _row_of(session: AsyncSession, delivery: Delivery, webhook_id: str) -> tuple[WebhookDelivery, bool]:
    """The row with this id, locked, and whether it is new."""
    row_id = await _insert(session, delivery, webhook_id)
    if row_id is None:
        return await _lock_earlier(session, delivery, webhook_id), False
    return await session.get_one(WebhookDelivery, row_id), True


async def _judge(session: AsyncSession, row: WebhookDelivery, delivery: Delivery) -> Verdict:
    notice = delivery.notice
    if isinstance(notice, PaymentNotice):
        settlement = await settle(session, notice)
        row.on_ramp_id = settlement.on_ramp_id
        return settlement.verdict
    outcome = await apply_payout_notice(session, notice)
    row.withdrawal_id = outcome.withdrawal_id
    return outcome.verdict


async def _insert(session: AsyncSession, delivery: Delivery, webhook_id: str) -> UUID | None:
    """The id of a new row, or None when the row exists. Waits for a copy that is being committed."""
    statement = (
        insert(WebhookDelivery)
        .values(
            id=new_id(),
            bank=delivery.notice.bank,
            webhook_id=webhook_id,
            payload=asdict(delivery.notice),
            verdict=Verdict.NOTED,  # until it is judged, in this same transaction
            received_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=["bank", "webhook_id"])
        .returning(WebhookDelivery.id)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def _lock_earlier(session: AsyncSession, delivery: Delivery, webhook_id: str) -> WebhookDelivery:
    statement = (
        select(WebhookDelivery)
        .where(WebhookDelivery.bank == delivery.notice.bank, WebhookDelivery.webhook_id == webhook_id)
        .with_for_update()
    )
    return (await session.execute(statement)).scalar_one()


def _digest(payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:32]


def _cause(error: BaseException) -> str:
    """The names of the error and of the driver's error; never the SQL statement, which holds the notice."""
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"
