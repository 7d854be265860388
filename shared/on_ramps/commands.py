"""Add money: keep a row, open a netbanking session at the bank, send the person there.

A bank call sits in the middle, so there are two transactions around it and the key stays claimed between them.
Whatever dies halfway is taken up by a retry with the same key, or ended by the enquiry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, BankUnavailable, Refused
from shared.banks.messages import SessionOpened, SessionRequest
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.ids import new_id
from shared.ledger.accounts import wallet_of
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps import rows
from shared.on_ramps.errors import OnRampNotFound, TooManyOnRamps, UnknownBank
from shared.on_ramps.settlement import fail
from shared.on_ramps.views import body_of

CREATED = 201
MAX_RECENT = 20
MAX_PENDING = 20
"""How many of one owner's may be open at banks at the same time."""
DATABASE_SECONDS = 30.0
"""How long the last transaction may take at most, once the caller has left."""

_logger = logging.getLogger(__name__)


async def start(
    sessionmaker: SessionMaker,
    *,
    clients: Mapping[str, BankClient],
    settings: OnRampSettings,
    claim: Claim,
    bank: str,
    amount: int,
) -> Answer:
    """Open an on-ramp of `amount` paise for the claim's owner; 201 with the URL to send the person to.

    Commits on its own, twice. Raises UnknownBank, TooManyOnRamps, BankUnavailable (the row is then a failure and the
    key free again), RequestInFlight, IdempotencyKeyReused.
    """
    client = clients.get(bank)
    if client is None:
        raise UnknownBank(bank)
    async with sessionmaker.begin() as session:
        known = await store.claim_one(session, claim)
        if known is not None:
            return known
        on_ramp = await _pending_row(session, settings, claim, bank, amount)

    work = asyncio.create_task(_open(sessionmaker, client, settings, claim, on_ramp))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        # The caller left; the row and the key are still brought to an end, within a bounded time.
        await asyncio.wait([work], timeout=settings.on_ramps.bank_timeout_seconds + DATABASE_SECONDS)
        if work.done() and not work.cancelled() and work.exception() is not None:
            _logger.info("on-ramp %s failed after its caller had left: %s", on_ramp.id, work.exception())
        raise


async def get_on_ramp(session: AsyncSession, *, owner_id: UUID, on_ramp_id: UUID) -> OnRamp:
    """One of the owner's on-ramps. Raises OnRampNotFound, for those of others too."""
    on_ramp = await rows.find_owned(session, owner_id=owner_id, on_ramp_id=on_ramp_id)
    if on_ramp is None:
        raise OnRampNotFound
    return on_ramp


async def list_on_ramps(
    session: AsyncSession, *, owner_id: UUID, limit: int, before: UUID | None = None
) -> tuple[list[OnRamp], UUID | None]:
    """At most `limit` of the owner's on-ramps, newest first, and the `before` of the next page, if there is one."""
    found = await rows.newest_owned(session, owner_id=owner_id, limit=limit + 1, before=before)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def recent_on_ramps(session: AsyncSession, *, owner_id: UUID, since: datetime) -> list[dict[str, Any]]:
    """Of the owner's newest MAX_RECENT on-ramps those pending or settled `since` then, oldest first, as JSON."""
    newest = await rows.newest_owned(session, owner_id=owner_id, limit=MAX_RECENT, before=None)
    return [body_of(each) for each in reversed(newest) if each.settled_at is None or each.settled_at >= since]


async def _pending_row(session: AsyncSession, settings: OnRampSettings, claim: Claim, bank: str, amount: int) -> OnRamp:
    owner_id = claim.owner_id
    left_behind = await rows.find_unopened(session, owner_id=owner_id, key=claim.key, bank=bank, amount=amount)
    if left_behind is not None:
        return left_behind
    now = clock.now()
    pending, soonest = await rows.lock_pending(session, owner_id)
    if pending >= MAX_PENDING:
        raise TooManyOnRamps(MAX_PENDING, int((soonest - now).total_seconds()) + 1 if soonest is not None else 1)
    wallet = await wallet_of(session, owner_id)
    # Without a token nobody can pay into it; it is given up once nobody can be about to write one any more.
    earliest = store.ABANDONED_AFTER + timedelta(seconds=2 * settings.on_ramps.bank_timeout_seconds)
    patience = max(timedelta(seconds=settings.on_ramps.enquire_after_seconds), earliest)
    on_ramp = OnRamp(
        id=new_id(),
        owner_id=owner_id,
        account_id=wallet.id,
        bank=bank,
        amount=amount,
        currency=wallet.currency,
        status=OnRampStatus.PENDING,
        idempotency_key=claim.key,
        is_late_success=False,
        is_contradicted=False,
        next_enquiry_at=now + patience,
        created_at=now,
    )
    session.add(on_ramp)
    return on_ramp


async def _open(
    sessionmaker: SessionMaker, client: BankClient, settings: OnRampSettings, claim: Claim, on_ramp: OnRamp
) -> Answer:
    asked = SessionRequest(
        reference=str(on_ramp.id),
        user_id=str(on_ramp.owner_id),
        amount=on_ramp.amount,
        return_url=f"{settings.user_app_url.rstrip('/')}/on-ramps/{on_ramp.id}",
    )
    try:
        opened = await client.open_session(asked)
        answer = await _note_opened(sessionmaker, settings, claim, on_ramp.id, opened)
    except (BankFailed, Refused) as error:
        _logger.warning("on-ramp %s: %s gave no session: %s", on_ramp.id, error.bank, error.reason)
        answer = await _note_unopened(sessionmaker, claim, on_ramp.id)
    except IntegrityError:
        _logger.error("on-ramp %s: %s gave a token twice", on_ramp.id, on_ramp.bank)
        answer = await _note_unopened(sessionmaker, claim, on_ramp.id)
    if answer is None:
        raise BankUnavailable(on_ramp.bank)
    return answer


async def _note_opened(
    sessionmaker: SessionMaker, settings: OnRampSettings, claim: Claim, on_ramp_id: UUID, opened: SessionOpened
) -> Answer | None:
    """Keep the session and the answer; None when the row was given up meanwhile."""
    async with sessionmaker.begin() as session:
        on_ramp = await rows.lock_by_id(session, on_ramp_id)
        if on_ramp.token is None:
            # Also on a row given up: should money come after all, it is found by this token.
            on_ramp.token, on_ramp.redirect_url = opened.token, opened.url
        if on_ramp.status is OnRampStatus.FAILURE:
            await store.release(session, [claim])
            return None
        if on_ramp.status is OnRampStatus.PENDING:
            enquire_after = timedelta(seconds=settings.on_ramps.enquire_after_seconds)
            on_ramp.next_enquiry_at = clock.now() + enquire_after
        return await _answer(session, claim, on_ramp)


async def _note_unopened(sessionmaker: SessionMaker, claim: Claim, on_ramp_id: UUID) -> Answer | None:
    """Give the row up and free the key; unless another try of the same request got a session meanwhile."""
    async with sessionmaker.begin() as session:
        on_ramp = await rows.lock_by_id(session, on_ramp_id)
        if on_ramp.token is not None:
            return await _answer(session, claim, on_ramp)
        if on_ramp.status is OnRampStatus.PENDING:
            fail(on_ramp, BankUnavailable.code)
        await store.release(session, [claim])
        return None


async def _answer(session: AsyncSession, claim: Claim, on_ramp: OnRamp) -> Answer:
    answer = Answer(CREATED, body_of(on_ramp))
    await store.finish(session, [(claim, answer)])
    return answer
