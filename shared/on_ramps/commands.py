"""The commands of this flow: start an on-ramp, which opens a netbanking session at the bank, and cancel it.

A call to the bank is in the middle, so there is one database transaction before it and one after it. The key stays
claimed in between. If the process dies there, a retry with the same key goes on, or the enquiry ends the on-ramp. The
wish to cancel is committed before the bank hears of it, so the enquiry repeats it until the bank has answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock, spans
from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, BankUnavailable, Refused
from shared.banks.messages import SessionOpened, SessionRequest
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger.accounts import wallet_of
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps import rows
from shared.on_ramps.enquiry import ask, next_enquiry
from shared.on_ramps.errors import AlreadyDecided, TooManyOnRamps, UnknownBank
from shared.on_ramps.queries import get_on_ramp
from shared.on_ramps.settlement import fail
from shared.on_ramps.views import OnRampView, view_of

MAX_PENDING = 20
"""How many on-ramps of one owner may be pending at the same time."""
DATABASE_SECONDS = 30.0
"""How long the last database transaction may take, once the caller has left."""

_logger = logging.getLogger(__name__)


async def start(
    request: KeyedRequest[OnRampView],
    *,
    bank: str,
    amount: int,
    sessionmaker: SessionMaker,
    clients: Mapping[str, BankClient],
    marks: Marks,
    settings: OnRampSettings,
) -> Answer:
    """Start an on-ramp of `amount` paise into the owner's wallet. Answers the on-ramp with the URL to approve it at.

    A repeated key gets the first answer. Raises UnknownBank, TooManyOnRamps, IdempotencyKeyReused, RequestInFlight:
    there is no new on-ramp. Raises BankUnavailable: the on-ramp has failed and the key is free again.
    """
    attempt = _Attempt(request, request.claim(bank=bank, amount=amount), sessionmaker, settings)

    async def work() -> Answer:
        client = clients.get(bank)
        if client is None:
            raise UnknownBank(bank)
        return await attempt.run(client, bank, amount)

    return await marks.run(attempt.claim, work)


async def cancel(
    *,
    owner_id: UUID,
    on_ramp_id: UUID,
    sessionmaker: SessionMaker,
    clients: Mapping[str, BankClient],
    settings: OnRampSettings,
) -> OnRampView:
    """Have the bank end the session of a pending on-ramp, and cancel the on-ramp if it was not paid by then.

    The bank's word decides. While it does not answer, the on-ramp stays pending and the enquiry asks again. Cancelling
    it again answers the same. Raises OnRampNotFound, AlreadyDecided.
    """

    async def ask_to_cancel(session: AsyncSession) -> OnRamp:
        on_ramp = await rows.lock_own(session, owner_id, on_ramp_id)
        _require_not_decided(on_ramp.status)
        if on_ramp.status is OnRampStatus.PENDING:
            now = clock.now()
            on_ramp.cancel_requested_at = on_ramp.cancel_requested_at or now
            if on_ramp.token is not None:
                on_ramp.next_enquiry_at = next_enquiry(on_ramp, now, settings)
        return on_ramp

    on_ramp = await in_transaction(sessionmaker, ask_to_cancel)
    if on_ramp.status is OnRampStatus.PENDING and on_ramp.token is not None:
        await ask(sessionmaker, clients.get(on_ramp.bank), on_ramp)
    view = await in_transaction(
        sessionmaker, lambda session: get_on_ramp(session, owner_id=owner_id, on_ramp_id=on_ramp_id)
    )
    _require_not_decided(view.status)
    return view


def _require_not_decided(status: OnRampStatus) -> None:
    if status not in (OnRampStatus.PENDING, OnRampStatus.CANCELLED):
        raise AlreadyDecided(status)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt at a request. A retry is another, with the same claim."""

    request: KeyedRequest[OnRampView]
    claim: Claim
    sessionmaker: SessionMaker
    settings: OnRampSettings
    claimed_at: datetime = field(default_factory=clock.now)
    """What tells its claim of the key from those of other attempts."""

    async def run(self, client: BankClient, bank: str, amount: int) -> Answer:
        async def claim(session: AsyncSession) -> Answer | OnRamp:
            earlier = await store.claim_one(session, self.claim, at=self.claimed_at)
            return await self._pending_row(session, bank, amount) if earlier is None else earlier

        on_ramp = await in_transaction(self.sessionmaker, claim)
        if isinstance(on_ramp, Answer):
            return on_ramp
        opening = asyncio.create_task(self._open(client, on_ramp))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The caller left. The row and the key are still brought to an end, within a bounded time.
            await asyncio.wait([opening], timeout=self.settings.on_ramps.bank_timeout_seconds + DATABASE_SECONDS)
            if opening.done() and not opening.cancelled() and opening.exception() is not None:
                _logger.info("on-ramp %s failed after its caller had left: %s", on_ramp.id, opening.exception())
            raise

    async def _pending_row(self, session: AsyncSession, bank: str, amount: int) -> OnRamp:
        """A new pending row, or the one that an earlier attempt at the same request left behind."""
        owner_id, key = self.request.owner_id, self.request.key
        left_behind = await rows.find_unopened(session, owner_id=owner_id, key=key, bank=bank, amount=amount)
        if left_behind is not None:
            return left_behind
        now = clock.now()
        pending, soonest = await rows.lock_pending(session, owner_id)
        if pending >= MAX_PENDING:
            trail.record(Kind.LIMIT_HIT, what="on-ramps", owner_id=owner_id)
            raise TooManyOnRamps(MAX_PENDING, int((soonest - now).total_seconds()) + 1 if soonest is not None else 1)
        wallet = await wallet_of(session, owner_id)
        # Without a token no payment can be made for it. The first enquiry waits until every attempt that could write
        # the token is over.
        timings = self.settings.on_ramps
        earliest = store.ABANDONED_AFTER + timedelta(seconds=2 * timings.bank_timeout_seconds)
        on_ramp = OnRamp(
            id=new_id(),
            owner_id=owner_id,
            account_id=wallet.id,
            bank=bank,
            amount=amount,
            currency=wallet.currency,
            status=OnRampStatus.PENDING,
            idempotency_key=key,
            is_late_success=False,
            is_contradicted=False,
            next_enquiry_at=now + max(timedelta(seconds=timings.enquire_after_seconds), earliest),
            created_at=now,
            traceparent=spans.traceparent(),
        )
        session.add(on_ramp)
        return on_ramp

    async def _open(self, client: BankClient, on_ramp: OnRamp) -> Answer:
        """Open the session at the bank and record what came of it."""
        request = SessionRequest(
            reference=str(on_ramp.id),
            user_id=str(on_ramp.owner_id),
            amount=on_ramp.amount,
            return_url=f"{self.settings.user_app_url.rstrip('/')}/on-ramps/{on_ramp.id}",
        )
        try:
            answer = await self._record_opened(on_ramp.id, await client.open_session(request))
        except (BankFailed, Refused) as error:
            _logger.warning("on-ramp %s: %s opened no session: %s", on_ramp.id, error.bank, error.reason)
            answer = await self._record_unopened(on_ramp.id)
        except IntegrityError:
            _logger.error("on-ramp %s: %s gave a token twice", on_ramp.id, on_ramp.bank)
            answer = await self._record_unopened(on_ramp.id)
        if answer is None:
            raise BankUnavailable(on_ramp.bank)
        return answer

    async def _record_opened(self, on_ramp_id: UUID, opened: SessionOpened) -> Answer | None:
        """Keep the netbanking token and the answer. None: the on-ramp has ended in the meantime."""

        async def record(session: AsyncSession) -> Answer | None:
            on_ramp = await rows.lock_by_id(session, on_ramp_id)
            if on_ramp.token is None:
                # Also on a failed row: money that comes after all is found by this token.
                on_ramp.token, on_ramp.redirect_url, on_ramp.expires_at = opened.token, opened.url, opened.expires_at
            if on_ramp.status.is_final and on_ramp.status.may_be_credited:
                await store.release(session, [self.claim], at=self.claimed_at)
                return None
            if on_ramp.status is OnRampStatus.PENDING:
                now = clock.now()
                is_cancelling = on_ramp.cancel_requested_at is not None
                on_ramp.next_enquiry_at = now if is_cancelling else next_enquiry(on_ramp, now, self.settings)
            return await self._answer(session, on_ramp)

        return await in_transaction(self.sessionmaker, record)

    async def _record_unopened(self, on_ramp_id: UUID) -> Answer | None:
        """Fail the row and free the key, unless another attempt at the same request got a session in the meantime."""

        async def record(session: AsyncSession) -> Answer | None:
            on_ramp = await rows.lock_by_id(session, on_ramp_id)
            if on_ramp.token is not None:
                return await self._answer(session, on_ramp)
            if on_ramp.status is OnRampStatus.PENDING:
                fail(on_ramp, BankUnavailable.code)
            await store.release(session, [self.claim], at=self.claimed_at)
            return None

        return await in_transaction(self.sessionmaker, record)

    async def _answer(self, session: AsyncSession, on_ramp: OnRamp) -> Answer:
        answer = self.request.answer(view_of(on_ramp))
        await store.finish(session, [(self.claim, answer)])
        return answer
