"""Copies of a request, and what they are told: by the mark in their process, by the first answer in Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim, claim_for
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.idempotency.marks import Marks
from shared.transfers.errors import RecipientNotFound
from tests.support.factories import create_user

FIRST = Answer(201, {"id": "x"})


@pytest.fixture
async def owner_id(sessionmaker: SessionMaker) -> UUID:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session)
    assert wallet.owner_id is not None
    return wallet.owner_id


def claim(owner_id: UUID, amount: int = 1) -> Claim:
    return claim_for(owner_id, "key", method="POST", route="/transfers", body={"amount": amount})


def claiming(sessionmaker: SessionMaker, its_claim: Claim) -> Callable[[], Awaitable[Answer]]:
    """Work that moves nothing."""

    async def work() -> Answer:
        async with sessionmaker.begin() as session:
            known = await store.claim_one(session, its_claim)
            if known is None:
                await store.finish(session, [(its_claim, FIRST)])
        return known or FIRST

    return work


def raising(error: Exception) -> Callable[[], Awaitable[Answer]]:
    async def work() -> Answer:
        raise error

    return work


async def must_not_run() -> Answer:
    raise AssertionError


async def test_a_copy_in_the_same_process_is_rejected_while_the_first_is_in_flight(
    sessionmaker: SessionMaker, owner_id: UUID
) -> None:
    marks, inside, go_on = Marks(sessionmaker), asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        inside.set()
        await go_on.wait()
        return await claiming(sessionmaker, claim(owner_id))()

    first = asyncio.create_task(marks.run(claim(owner_id), slow))
    await inside.wait()
    with pytest.raises(RequestInFlight):
        await marks.run(claim(owner_id), must_not_run)
    with pytest.raises(IdempotencyKeyReused) as reuse:
        await marks.run(claim(owner_id, amount=2), must_not_run)
    assert reuse.value.fields == ["amount"]
    go_on.set()
    assert await first == FIRST


async def test_a_mark_does_not_hide_an_answer_that_another_process_gave(
    sessionmaker: SessionMaker, owner_id: UUID
) -> None:
    marks, other_process = Marks(sessionmaker), Marks(sessionmaker)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def held_up() -> Answer:
        inside.set()
        await go_on.wait()
        return await claiming(sessionmaker, claim(owner_id, amount=2))()

    loser = asyncio.create_task(marks.run(claim(owner_id, amount=2), held_up))
    await inside.wait()
    await other_process.run(claim(owner_id), claiming(sessionmaker, claim(owner_id)))
    assert await marks.run(claim(owner_id), must_not_run) == FIRST.as_replay()
    go_on.set()
    with pytest.raises(IdempotencyKeyReused):
        await loser


@pytest.mark.parametrize("error", [RecipientNotFound(), RequestInFlight()])
async def test_a_rejection_does_not_hide_the_first_answer(
    sessionmaker: SessionMaker, owner_id: UUID, error: Exception
) -> None:
    marks = Marks(sessionmaker)
    await marks.run(claim(owner_id), claiming(sessionmaker, claim(owner_id)))
    assert await marks.run(claim(owner_id), raising(error)) == FIRST.as_replay()
    with pytest.raises(IdempotencyKeyReused):
        await marks.run(claim(owner_id, amount=2), raising(error))


@pytest.mark.parametrize("error", [RecipientNotFound(), RuntimeError(), asyncio.CancelledError()])
async def test_whatever_ends_a_request_frees_its_mark(
    sessionmaker: SessionMaker, owner_id: UUID, error: Exception
) -> None:
    marks = Marks(sessionmaker)
    with pytest.raises(type(error)):
        await marks.run(claim(owner_id), raising(error))
    assert await marks.run(claim(owner_id), claiming(sessionmaker, claim(owner_id))) == FIRST
