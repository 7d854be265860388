"""Copies of a keyed request in two processes: the first answer, or 409 at once, and no 409 for a finished request."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim, claim_for
from shared.idempotency.errors import RequestInFlight
from shared.idempotency.marks import Marks
from shared.ids import new_id
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, Replayed, Together, post_one
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.models import Account
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.held_keys import HeldKey

ROUNDS = 60


@dataclass
class Process:
    """What belongs to one process of a service, as far as keys go. `sessions` are for requests that claim by session.

    Its marks look for first answers in `lookups`.
    """

    sessions: SessionMaker
    group_commit: GroupCommit
    lookups: SessionMaker

    async def request(self, way: str, sender: Account, receiver: Account, key: str) -> Answer:
        """Send one paisa, once per key. A new Marks: no mark tells a copy, as if it came from a third process."""
        claim = claim_of(sender, key)
        transfer = Transfer(new_id(), "p2p", sender.id, receiver.id, 1, initiated_by=claim.owner_id)
        work = {"alone": self._alone, "batch": self._in_batch, "together": self._together}[way]
        return await Marks(self.lookups).run(claim, lambda: work(claim, transfer))

    async def _alone(self, claim: Claim, transfer: Transfer) -> Answer:
        async with self.sessions.begin() as session:
            known = await store.claim_one(session, claim)
            if known is not None:
                return known
            await post_one(session, transfer)
            await store.finish(session, [(claim, answer_with(transfer))])
            return answer_with(transfer)

    async def _in_batch(self, claim: Claim, transfer: Transfer) -> Answer:
        instruction = Instruction(transfer, claim, lambda _: answer_with(transfer))
        match await self.group_commit.post(instruction):
            case Posted():
                return answer_with(transfer)
            case Replayed() as replayed:
                return replayed.answer
            case Rejected() as rejected:
                raise rejected.error

    async def _together(self, claim: Claim, transfer: Transfer) -> Answer:
        return await self.group_commit.post_together(
            Together(claim, [transfer], lambda _: Conclusion(answer_with(transfer), ()))
        )


def claim_of(sender: Account, key: str) -> Claim:
    assert sender.owner_id is not None
    return claim_for(sender.owner_id, key, method="POST", route="/transfers", body={"amount": 1})


def answer_with(transfer: Transfer) -> Answer:
    return Answer(201, {"id": str(transfer.id)})


@pytest.fixture
async def here(sessionmaker: SessionMaker, engine: AsyncEngine) -> AsyncIterator[Process]:
    group_commit = GroupCommit(engine)
    yield Process(sessionmaker, group_commit, sessionmaker)
    await group_commit.close()


@pytest.fixture
async def there(sessionmaker: SessionMaker, engine: AsyncEngine) -> AsyncIterator[Process]:
    group_commit = GroupCommit(engine)
    yield Process(sessionmaker, group_commit, sessionmaker)
    await group_commit.close()


@pytest.fixture
async def people(sessionmaker: SessionMaker) -> tuple[Account, Account]:
    async with sessionmaker.begin() as session:
        return await create_user(session, balance=10_000), await create_user(session)


async def balance_of(sessionmaker: SessionMaker, account: Account) -> int:
    async with sessionmaker() as session:
        return (await session.get_one(Account, account.id)).balance


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldKey:
    return HeldKey(monkeypatch)


def after(happening: Callable[[], Awaitable[object]], sessionmaker: SessionMaker) -> SessionMaker:
    """Sessions that open only after something has happened."""

    @asynccontextmanager
    async def session() -> AsyncIterator[AsyncSession]:
        await happening()
        async with sessionmaker() as opened:
            yield opened

    return cast("SessionMaker", session)


WAYS = pytest.mark.parametrize("way", ["alone", "batch", "together"])


@WAYS
async def test_a_copy_elsewhere_is_told_at_once_that_the_first_is_in_flight(  # noqa: PLR0917 - its fixtures
    here: Process, there: Process, people: tuple[Account, Account], held: HeldKey, sessionmaker: SessionMaker, way: str
) -> None:
    asha, ravi = people
    async with asyncio.timeout(deadline()):
        first = asyncio.create_task(here.request(way, asha, ravi, "k"))
        await held.is_locked.wait()
        with pytest.raises(RequestInFlight) as refusal:
            await there.request(way, asha, ravi, "k")
        assert refusal.value.retry_after_seconds == 1
        assert not first.done()
    held.go_on.set()
    answer = await first
    assert await there.request(way, asha, ravi, "k") == answer.as_replay()
    assert await balance_of(sessionmaker, ravi) == 1


@WAYS
async def test_a_first_request_that_finishes_after_its_key_was_found_taken_is_not_in_flight(  # noqa: PLR0917 - its fixtures
    here: Process, there: Process, people: tuple[Account, Account], held: HeldKey, sessionmaker: SessionMaker, way: str
) -> None:
    """The copy looks for the answer after it tried the lock, never before."""
    asha, ravi = people
    first = asyncio.create_task(here.request(way, asha, ravi, "k"))
    await held.is_locked.wait()

    async def first_finishes() -> None:
        held.go_on.set()
        await asyncio.wait([first])

    copy = await replace(there, lookups=after(first_finishes, sessionmaker)).request(way, asha, ravi, "k")
    assert copy == (await first).as_replay()
    assert await balance_of(sessionmaker, ravi) == 1


@WAYS
async def test_no_copy_of_a_finished_request_is_in_flight_whatever_others_ask(
    here: Process, there: Process, people: tuple[Account, Account], sessionmaker: SessionMaker, way: str
) -> None:
    """Many copies at random moments, on many connections: those that come after an answer was given all get it."""
    asha, ravi = people
    dice = random.Random(20261126)
    loop = asyncio.get_running_loop()
    for number in range(ROUNDS):
        answered_at: list[float] = []
        told: list[tuple[float, str | None]] = []

        async def copy(at: Process, after_seconds: float, key: str) -> None:
            await asyncio.sleep(after_seconds)
            began_at = loop.time()
            try:
                answer = await at.request(way, asha, ravi, key)
            except RequestInFlight:
                told.append((began_at, None))  # noqa: B023 - awaited within the round
            else:
                answered_at.append(loop.time())  # noqa: B023
                told.append((began_at, answer.body["id"]))  # noqa: B023

        async with asyncio.timeout(deadline()):
            await asyncio.gather(*(copy(at, dice.random() / 50, f"{number}") for at in (here, there) * 4))
        finished_at = min(answered_at)
        assert not [began_at for began_at, answer in told if answer is None and began_at >= finished_at]
        assert len({answer for _, answer in told if answer is not None}) == 1
    assert await balance_of(sessionmaker, ravi) == ROUNDS
