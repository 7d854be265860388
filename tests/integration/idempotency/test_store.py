from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from shared import clock
from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim, claim_for
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.models import IdempotencyKey
from tests.support.factories import create_user


@pytest.fixture
async def owner_id(sessionmaker: SessionMaker) -> UUID:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session)
    assert wallet.owner_id is not None
    return wallet.owner_id


def claim(owner_id: UUID, amount: int = 1) -> Claim:
    return claim_for(owner_id, "key", method="POST", route="/on-ramps", body={"amount": amount, "pin": "1234"})


async def test_of_many_copies_one_works_and_the_others_get_its_answer_or_are_told_to_retry(
    sessionmaker: SessionMaker, owner_id: UUID
) -> None:
    async def request() -> str:
        async with sessionmaker.begin() as session:
            try:
                known = await store.claim_one(session, claim(owner_id))
            except RequestInFlight:
                return "in flight"
            if known is None:
                await store.finish(session, [(claim(owner_id), Answer(201, {"id": "x"}))])
                return "worked"
            assert known == Answer(201, {"id": "x"}, is_replayed=True)
            return "replayed"

    outcomes = await asyncio.gather(*[request() for _ in range(15)])
    assert Counter(outcomes)["worked"] == 1
    assert {await request() for _ in range(5)} == {"replayed"}


async def test_a_rolled_back_request_frees_its_key(sessionmaker: SessionMaker, owner_id: UUID) -> None:
    async with sessionmaker() as session:
        assert await store.claim_one(session, claim(owner_id)) is None
        await session.rollback()
    async with sessionmaker.begin() as session:
        assert await store.claim_one(session, claim(owner_id)) is None


async def test_a_request_of_several_steps_is_in_flight_until_it_is_answered(
    sessionmaker: SessionMaker, owner_id: UUID
) -> None:
    at = clock.now()
    async with sessionmaker.begin() as session:
        assert await store.claim_one(session, claim(owner_id), at=at) is None
    async with sessionmaker.begin() as session:
        with pytest.raises(RequestInFlight) as refusal:
            await store.claim_one(session, claim(owner_id))
        assert refusal.value.retry_after_seconds == 1
    async with sessionmaker.begin() as session:
        with pytest.raises(IdempotencyKeyReused) as reuse:
            await store.claim_one(session, claim(owner_id, amount=2))
        assert [error.field for error in reuse.value.errors] == ["amount"]
    async with sessionmaker.begin() as session:
        await store.release(session, [claim(owner_id)], at=at)
    async with sessionmaker.begin() as session:
        assert await store.claim_one(session, claim(owner_id, amount=2)) is None


async def test_a_request_that_died_halfway_may_be_taken_up_again_after_a_while(
    sessionmaker: SessionMaker, owner_id: UUID
) -> None:
    async with sessionmaker.begin() as session:
        await store.claim_one(session, claim(owner_id))
    later = clock.now() + store.ABANDONED_AFTER + timedelta(seconds=1)
    with clock.reading(lambda: later):
        async with sessionmaker.begin() as session:
            assert await store.claim_one(session, claim(owner_id)) is None
        async with sessionmaker.begin() as session:
            with pytest.raises(RequestInFlight):  # claimed by another request just now
                await store.claim_one(session, claim(owner_id))


async def test_old_keys_are_deleted(sessionmaker: SessionMaker, owner_id: UUID) -> None:
    async with sessionmaker.begin() as session:
        await store.claim_one(session, claim(owner_id))
        await store.finish(session, [(claim(owner_id), Answer(201, {}))])
        made_at = clock.now() - store.KEPT_FOR - timedelta(minutes=1)
        await session.execute(
            update(IdempotencyKey).where(IdempotencyKey.owner_id == owner_id).values(created_at=made_at)
        )
    async with sessionmaker.begin() as session:
        assert await store.purge(session) >= 1
    async with sessionmaker() as session:
        assert await session.get(IdempotencyKey, (owner_id, "key")) is None


async def test_empty_batches_do_nothing(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        assert await store.claim_all(session, []) == {}
        await store.finish(session, [])
        await store.release(session, [], at=clock.now())


def test_the_pin_is_neither_hashed_nor_part_of_the_fingerprint() -> None:
    one = claim_for(UUID(int=1), "k", method="POST", route="/t", body={"amount": 1, "pin": "1234"})
    other = claim_for(UUID(int=1), "k", method="POST", route="/t", body={"amount": 1, "pin": "9999"})
    assert one == other
    assert "pin" not in one.field_hashes
