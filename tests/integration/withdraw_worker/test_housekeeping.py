"""Housekeeping deletes what has expired and keeps what still counts."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from services.withdraw_worker.housekeeping import PIN_FAILURES_KEPT, purge_keys, purge_tokens, seal_all
from shared import clock
from shared.db.engine import SessionMaker
from shared.idempotency.store import KEPT_FOR
from shared.ids import new_id
from shared.models import IdempotencyKey, LedgerSeal, PinFailure, RevokedToken
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


async def test_sealing_leaves_nothing_unsealed(fresh_sessionmaker: SessionMaker) -> None:
    async with fresh_sessionmaker.begin() as session:
        await create_user(session, balance=100_00)
    assert await seal_all(fresh_sessionmaker) >= 1
    assert await seal_all(fresh_sessionmaker) == 0
    async with fresh_sessionmaker() as session:
        assert (await session.scalars(select(LedgerSeal))).first() is not None
