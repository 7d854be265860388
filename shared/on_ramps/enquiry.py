"""Ask the bank about on-ramps that are pending for long, so that none stays pending for ever.

The bank's word decides, also about one whose time is over or whose person asked to cancel: it may have been approved
a moment before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock, spans
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, MayHaveBeenSent, Refused
from shared.banks.messages import SessionState
from shared.banks.notices import PaymentNotice
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.db.outages import DATABASE_ERRORS
from shared.db.retries import in_transaction
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.models.webhook_delivery import Verdict
from shared.on_ramps import rows
from shared.on_ramps.rules import EXPIRED
from shared.on_ramps.settlement import fail, settle

MAX_PER_RUN = 100
MAX_AT_ONCE = 8
LONGEST_PAUSE_FACTOR = 6
"""Pauses between enquiries grow with the age of the on-ramp, up to this many times the first pause."""
GIVE_UP_AFTER = timedelta(hours=24)
CANCEL_PAUSE = timedelta(seconds=60)
EXPIRY_MARGIN = timedelta(seconds=60)
"""A session that the bank still calls pending has expired this long after its end: clocks differ."""

_logger = logging.getLogger(__name__)


async def enquire_due(
    sessionmaker: SessionMaker, *, clients: Mapping[str, BankClient], settings: OnRampSettings, limit: int = MAX_PER_RUN
) -> int:
    """Ask about at most `limit` pending on-ramps that are due. Returns how many were looked at.

    Several workers may run it at once: each row is leased for as long as a run may take, and settling twice credits
    once. No database transaction is open while the bank is asked.
    """
    now = clock.now()
    rounds = -(-limit // MAX_AT_ONCE)
    lease = timedelta(seconds=settings.on_ramps.bank_timeout_seconds * (rounds + 1))
    async with sessionmaker.begin() as session:
        due = await rows.take_due(session, now=now, leased_until=now + lease, limit=limit)
    at_once = asyncio.Semaphore(MAX_AT_ONCE)
    enquiries = [_enquire(sessionmaker, clients.get(row.bank), settings, row, at_once) for row in due]
    await asyncio.gather(*enquiries)
    return len(due)


async def _enquire(
    sessionmaker: SessionMaker,
    client: BankClient | None,
    settings: OnRampSettings,
    on_ramp: OnRamp,
    at_once: asyncio.Semaphore,
) -> None:
    about = {"batua.on_ramp_id": str(on_ramp.id)}
    async with at_once:
        with spans.go_on(on_ramp.traceparent, "on-ramp enquiry", links=[spans.context()], attributes=about):
            try:
                if not await ask(sessionmaker, client, on_ramp):
                    await _try_later(sessionmaker, settings, on_ramp.id)
            except DATABASE_ERRORS as error:
                # Its lease expires, and it is due again. The other enquiries go on.
                _logger.warning("on-ramp %s: enquiry not noted: %s", on_ramp.id, type(error).__name__)


async def ask(sessionmaker: SessionMaker, client: BankClient | None, on_ramp: OnRamp) -> bool:
    """Ask the bank about a pending on-ramp, or ask it to cancel the session if the person wants that, and settle.

    Answers whether it ended the on-ramp, or found that it had ended. No database transaction is open while the bank
    is asked.
    """
    if on_ramp.token is None:
        await _give_up(sessionmaker, on_ramp.id, "never_opened", only_unopened=True)
        return True
    if client is None:
        _logger.error("on-ramp %s: no client for %s", on_ramp.id, on_ramp.bank)
        return False
    try:
        state = await _state_at_bank(client, on_ramp, on_ramp.token)
    except (BankFailed, Refused) as error:
        _logger.warning("on-ramp %s: %s gave no answer: %s", on_ramp.id, on_ramp.bank, error.reason)
        return False
    if state is None:
        await _give_up(sessionmaker, on_ramp.id, "unknown_to_bank")
        return True
    if state.reference != str(on_ramp.id):
        _logger.error("on-ramp %s: %s has another reference for its session", on_ramp.id, on_ramp.bank)
        return False
    return await _settle(sessionmaker, on_ramp.bank, state)


async def _state_at_bank(client: BankClient, on_ramp: OnRamp, token: str) -> SessionState | None:
    if on_ramp.cancel_requested_at is None:
        return await client.session_state(token)
    try:
        return await client.cancel_session(token)
    except (MayHaveBeenSent, Refused) as error:
        # Perhaps this bank cannot cancel. Then the session goes on to its end, and its state says when that is.
        _logger.warning("on-ramp %s: %s did not cancel: %s", on_ramp.id, on_ramp.bank, error.reason)
        return await client.session_state(token)


async def _settle(sessionmaker: SessionMaker, bank: str, state: SessionState) -> bool:
    is_over = state.expires_at is not None and state.expires_at + EXPIRY_MARGIN <= clock.now()
    if state.status == "pending" and not is_over:
        return False
    notice = PaymentNotice(
        bank=bank,
        event="success" if state.status == "approved" else "failure",
        token=state.token,
        user_id=state.user_id,
        amount=state.amount,
        bank_reference=state.bank_reference,
        reason=EXPIRED if state.status == "pending" else state.reason,
    )
    outcome = await in_transaction(sessionmaker, lambda session: settle(session, notice))
    if outcome.verdict not in (Verdict.SETTLED, Verdict.DUPLICATE, Verdict.CONTRADICTION):
        _logger.error("on-ramp %s: %s disagrees with us: %s", outcome.on_ramp_id, bank, outcome.verdict)
        return False
    return True


async def _give_up(sessionmaker: SessionMaker, on_ramp_id: UUID, reason: str, *, only_unopened: bool = False) -> None:

    async def give_up(session: AsyncSession) -> None:
        on_ramp = await rows.lock_by_id(session, on_ramp_id)
        if on_ramp.status is OnRampStatus.PENDING and not (only_unopened and on_ramp.token is not None):
            fail(on_ramp, reason)

    await in_transaction(sessionmaker, give_up)


async def _try_later(sessionmaker: SessionMaker, settings: OnRampSettings, on_ramp_id: UUID) -> None:

    async def put_off(session: AsyncSession) -> None:
        on_ramp = await rows.lock_by_id(session, on_ramp_id)
        if on_ramp.status.is_final:
            return
        now = clock.now()
        if now - on_ramp.created_at >= GIVE_UP_AFTER:
            fail(on_ramp, EXPIRED)
        else:
            on_ramp.next_enquiry_at = next_enquiry(on_ramp, now, settings)

    await in_transaction(sessionmaker, put_off)


def next_enquiry(on_ramp: OnRamp, now: datetime, settings: OnRampSettings) -> datetime:
    """When to ask again: after 10, 20, 40, 80 minutes and then every hour, and as soon as its session is over.

    A cancellation that the bank has not confirmed is repeated every CANCEL_PAUSE at first.
    """
    first = timedelta(seconds=settings.on_ramps.enquire_after_seconds)
    since = on_ramp.created_at
    if on_ramp.cancel_requested_at is not None:
        first, since = min(first, CANCEL_PAUSE), on_ramp.cancel_requested_at
    found = now + min(max(now - since, first), first * LONGEST_PAUSE_FACTOR)
    if on_ramp.expires_at is not None and on_ramp.expires_at > now:
        found = min(found, on_ramp.expires_at + EXPIRY_MARGIN)
    return found
