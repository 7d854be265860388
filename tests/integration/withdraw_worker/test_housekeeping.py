"""Housekeeping deletes what has expired and keeps what still counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from services.withdraw_worker import housekeeping
from services.withdraw_worker.housekeeping import (
    INBOX_KEPT,
    PIN_FAILURES_KEPT,
    purge_inbox,
    purge_keys,
    purge_mail,
    purge_tokens,
    seal_all,
)
from shared import clock
from shared.db.engine import SessionMaker
from shared.idempotency.store import KEPT_FOR
from shared.ids import new_id, new_token, smallest_id
from shared.ledger.accounts import wallet_of
from shared.models import IdempotencyKey, LedgerSeal, Mail, OutboxMessage, PinFailure, RevokedToken, WebhookDelivery
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.settlement import settle
from shared.outbox import queue
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.factories import create_user


async def test_sign_outs_and_wrong_pins_are_forgotten_once_they_count_no_more(
    fresh_sessionmaker: SessionMaker,
) -> None:
    now, moment = clock.now(), timedelta(seconds=60)
    old, kept = new_id(), new_id()
    async with fresh_sessionmaker.begin() as session:
        owner_id = (await create_user(session)).owner_id
        session.add(RevokedToken(id=old, expires_at=now - moment))
        session.add(RevokedToken(id=kept, expires_at=now + moment))
        session.add(PinFailure(id=old, owner_id=owner_id, failed_at=now - PIN_FAILURES_KEPT - moment))
        session.add(PinFailure(id=kept, owner_id=owner_id, failed_at=now - moment))
    await purge_tokens(fresh_sessionmaker)
    async with fresh_sessionmaker() as session:
        assert list(await session.scalars(select(RevokedToken.id))) == [kept]
        assert list(await session.scalars(select(PinFailure.id))) == [kept]


async def test_old_keys_are_deleted(fresh_sessionmaker: SessionMaker) -> None:
    async with fresh_sessionmaker.begin() as session:
        owner_id = (await create_user(session)).owner_id
        for key, age in (("old", KEPT_FOR + timedelta(hours=1)), ("new", timedelta(0))):
            session.add(
                IdempotencyKey(
                    owner_id=owner_id, key=key, fingerprint="", field_hashes={}, created_at=clock.now() - age
                )
            )
    assert await purge_keys(fresh_sessionmaker) == 1
    async with fresh_sessionmaker() as session:
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["new"]


async def test_a_worker_whose_clock_runs_ahead_forgets_nothing_that_still_counts(
    fresh_sessionmaker: SessionMaker,
) -> None:
    """Without its key, a request that is repeated would move its money again; without its row, a sign-out would end."""
    now = clock.now()
    async with fresh_sessionmaker.begin() as session:
        owner_id = (await create_user(session)).owner_id
        made_at = now - timedelta(hours=1)
        session.add(IdempotencyKey(owner_id=owner_id, key="key", fingerprint="", field_hashes={}, created_at=made_at))
        session.add(RevokedToken(id=new_id(), expires_at=now + timedelta(minutes=5)))
        session.add(PinFailure(id=new_id(), owner_id=owner_id, failed_at=now))
    with clock.reading(lambda: now + 2 * KEPT_FOR):
        assert (await purge_keys(fresh_sessionmaker), await purge_tokens(fresh_sessionmaker)) == (0, 0)


async def test_notices_of_banks_are_deleted_after_five_years_in_bounded_steps(
    fresh_sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PURGE_BATCH", 2)
    async with fresh_sessionmaker.begin() as session:
        session.add_all([delivery(INBOX_KEPT + timedelta(days=number)) for number in range(1, 6)])
        session.add_all([kept := delivery(INBOX_KEPT - timedelta(days=1)), newest := delivery(timedelta(0))])
    assert await purge_inbox(fresh_sessionmaker) == 5
    async with fresh_sessionmaker() as session:
        assert set(await session.scalars(select(WebhookDelivery.id))) == {kept.id, newest.id}
    for statement in ("DELETE FROM webhook_inbox", "TRUNCATE webhook_inbox"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with fresh_sessionmaker.begin() as session:
                await session.execute(text(statement))


async def test_a_notice_that_comes_again_after_that_moves_nothing(fresh_sessionmaker: SessionMaker) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session))
        assert (await settle(session, payment_notice(on_ramp))).verdict is Verdict.SETTLED
    async with fresh_sessionmaker.begin() as session:  # whose row of the inbox is gone by now
        assert (await settle(session, payment_notice(on_ramp))).verdict is Verdict.DUPLICATE
        assert (await wallet_of(session, on_ramp.owner_id)).balance == on_ramp.amount


def delivery(age: timedelta) -> WebhookDelivery:
    """Received so long ago; its id says so too."""
    at = clock.now() - age
    return WebhookDelivery(
        id=UUID(int=smallest_id(at).int | new_id().int & (1 << 80) - 1),
        bank="hdfc",
        webhook_id=new_token(),
        payload={},
        verdict=Verdict.SETTLED,
        received_at=at,
    )


def message(age: timedelta, *, sent_ago: timedelta | None = None, **columns: Any) -> OutboxMessage:
    """Written so long ago; its id says so too."""
    at = clock.now() - age
    return OutboxMessage(
        id=UUID(int=smallest_id(at).int | new_id().int & (1 << 80) - 1),
        kind="money_received",
        owner_id=new_id(),
        facts={},
        attempts=1,
        sent_at=None if sent_ago is None else clock.now() - sent_ago,
        created_at=at,
        **columns,
    )


def mail(age: timedelta, *, sent_ago: timedelta | None = None, **columns: Any) -> Mail:
    """A mail whose first message was written so long ago."""
    of = message(age, sent_ago=sent_ago)
    shared = {name: getattr(of, name) for name in ("id", "kind", "owner_id", "attempts", "sent_at", "created_at")}
    return Mail(count=1, newest=[{}], **shared, **columns)


async def test_mails_are_deleted_a_week_after_they_were_sent_or_written_in_vain(
    fresh_sessionmaker: SessionMaker,
) -> None:
    old, new = queue.KEPT_FOR + timedelta(hours=1), timedelta(days=6)
    kept = [
        mail(new, sent_ago=new),
        mail(old, sent_ago=timedelta(minutes=1)),  # after a long outage of the mail server
        mail(old, next_attempt_at=clock.now()),
        mail(new),
    ]
    gone = [mail(old, sent_ago=old), mail(old, last_error="no such mailbox")]
    kept_ids = {each.id for each in kept}
    async with fresh_sessionmaker.begin() as session:
        session.add_all([*kept, *gone])
    assert await purge_mail(fresh_sessionmaker) == len(gone)
    async with fresh_sessionmaker() as session:
        assert set(await session.scalars(select(Mail.id))) == kept_ids


async def test_messages_that_the_version_before_sent_or_gave_up_are_deleted_too(
    fresh_sessionmaker: SessionMaker,
) -> None:
    old, new = queue.KEPT_FOR + timedelta(hours=1), timedelta(days=6)
    still_due = message(old, next_attempt_at=clock.now())
    kept = [
        message(new, sent_ago=new),
        message(old, sent_ago=timedelta(minutes=1)),  # after a long outage of the mail server
        still_due,
        message(old, bundle_id=still_due.id),
        message(new),
    ]
    given_up = message(old, last_error="no such mailbox")
    gone = [message(old, sent_ago=old), given_up, message(old, bundle_id=given_up.id)]
    kept_ids, gone_ids = ({each.id for each in messages} for messages in (kept, gone))
    async with fresh_sessionmaker.begin() as session:
        session.add_all([*kept, *gone])
    assert await purge_mail(fresh_sessionmaker) == len(gone_ids)
    async with fresh_sessionmaker() as session:
        assert set(await session.scalars(select(OutboxMessage.id))) == kept_ids


async def test_what_expires_is_deleted_batch_by_batch(
    fresh_sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PURGE_BATCH", 2)
    monkeypatch.setattr(queue, "PURGE_BATCH", 2)
    old = clock.now() - queue.KEPT_FOR - timedelta(hours=1)
    async with fresh_sessionmaker.begin() as session:
        session.add_all(RevokedToken(id=new_id(), expires_at=old) for _ in range(5))
        session.add_all(mail(2 * queue.KEPT_FOR, sent_ago=2 * queue.KEPT_FOR) for _ in range(5))
    assert await purge_tokens(fresh_sessionmaker) == 5
    assert await purge_mail(fresh_sessionmaker) == 5


async def test_sealing_leaves_nothing_unsealed(fresh_sessionmaker: SessionMaker) -> None:
    async with fresh_sessionmaker.begin() as session:
        await create_user(session, balance=100_00)
    assert await seal_all(fresh_sessionmaker) >= 1
    assert await seal_all(fresh_sessionmaker) == 0
    async with fresh_sessionmaker() as session:
        assert (await session.scalars(select(LedgerSeal))).first() is not None
