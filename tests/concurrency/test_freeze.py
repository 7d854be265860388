"""A freeze against everything that leaves at the same moment: what commits after it has moved nothing out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger import freezing
from shared.ledger.errors import AccountFrozen
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, InstructionOutcome, Together, post
from shared.ledger.rules import Outcome, PlaceHold, Posted, Rejected, Transfer
from shared.models import Account, Entry, Hold
from tests.support.factories import create_user
from tests.support.waiting import until_a_lock_is_awaited


@pytest.fixture
async def group_commit(engine: AsyncEngine) -> AsyncIterator[GroupCommit]:
    opened = GroupCommit(engine)
    yield opened
    await opened.close()


@pytest.fixture
async def alice(sessionmaker: SessionMaker) -> Account:
    async with sessionmaker.begin() as session:
        return await create_user(session, balance=1_000_000)


@pytest.fixture
async def bob(sessionmaker: SessionMaker) -> Account:
    async with sessionmaker.begin() as session:
        return await create_user(session, balance=1_000_000)


def moved(sender: Account, receiver: Account) -> Transfer:
    return Transfer(new_id(), "p2p", sender.id, receiver.id, 100, initiated_by=sender.owner_id)


def send(sender: Account, receiver: Account) -> Instruction:
    assert sender.owner_id is not None
    return Instruction(
        moved(sender, receiver),
        claim_for(sender.owner_id, str(new_id()), method="POST", route="/transfers", body={}),
        lambda posted: Answer(201, {}),
    )


async def all_at_once(sessionmaker: SessionMaker, sender: Account, receiver: Account) -> list[Outcome]:
    """In a transaction with sessions, as refunds and withdrawals have it: a transfer, and a hold."""
    async with sessionmaker.begin() as session:
        return await post(session, [moved(sender, receiver), PlaceHold(new_id(), sender.id, 100)])


def words(outcome: InstructionOutcome | Outcome) -> str:
    return outcome.error.code if isinstance(outcome, Rejected) else type(outcome).__name__


async def test_what_waits_for_the_freeze_sees_it(
    sessionmaker: SessionMaker, group_commit: GroupCommit, alice: Account, bob: Account
) -> None:
    assert alice.owner_id is not None
    async with sessionmaker.begin() as session:
        await freezing.freeze(session, alice.owner_id)
        single = asyncio.create_task(group_commit.post(send(alice, bob)))
        together = asyncio.create_task(all_at_once(sessionmaker, alice, bob))
        arriving = asyncio.create_task(group_commit.post(send(bob, alice)))
        await until_a_lock_is_awaited(sessionmaker)
    refused = [words(await single), *(words(outcome) for outcome in await together)]
    assert refused == ["account_frozen"] * 3
    came = await arriving
    assert isinstance(came, Posted)


async def test_a_freeze_that_waits_answers_the_accounts_as_they_stand_then(
    sessionmaker: SessionMaker, alice: Account, bob: Account
) -> None:
    assert alice.owner_id is not None
    owner_id = alice.owner_id

    async def freeze() -> Account:
        async with sessionmaker.begin() as session:
            before = await session.get_one(Account, alice.id)
            (frozen,) = await freezing.freeze(session, owner_id)
            assert frozen is before
            return frozen

    async with sessionmaker.begin() as session:
        await post(session, [moved(alice, bob)])
        waiting = asyncio.create_task(freeze())
        await until_a_lock_is_awaited(sessionmaker)
    frozen = await waiting
    assert (frozen.balance, frozen.frozen_at is not None) == (999_900, True)
    async with sessionmaker() as session:
        assert (await session.get_one(Account, alice.id)).frozen_at == frozen.frozen_at


async def test_of_a_storm_nothing_leaves_after_the_freeze(
    sessionmaker: SessionMaker, engine: AsyncEngine, alice: Account, bob: Account
) -> None:
    """Whatever commits after the freeze has a number after the last one that the freeze saw."""
    assert alice.owner_id is not None
    owner_id = alice.owner_id
    processes = [GroupCommit(engine) for _ in range(3)]
    has_begun, is_frozen = asyncio.Event(), asyncio.Event()

    async def keep_sending(number: int) -> list[str]:
        """Until some turns after the freeze."""
        said: list[str] = []
        turns_after = 0
        while turns_after < 10:
            turns_after += is_frozen.is_set()
            if number % 4 == 3:
                said += [words(each) for each in await all_at_once(sessionmaker, alice, bob)]
            elif number % 4 == 2:
                said.append(words(await processes[number % 3].post(send(bob, alice))))
            else:
                said.append(words(await processes[number % 3].post(send(alice, bob))))
            if len(said) > 5:
                has_begun.set()
        return said

    async def freeze() -> int:
        await has_begun.wait()
        try:
            async with sessionmaker.begin() as session:
                (frozen,) = await freezing.freeze(session, owner_id)
                return frozen.seq
        finally:
            is_frozen.set()

    freezing_now = asyncio.create_task(freeze())
    said = await asyncio.gather(*(keep_sending(number) for number in range(8)))
    frozen_at_seq = await freezing_now
    for process in processes:
        await process.close()

    said_in_all = Counter(each for one in said for each in one)
    assert said_in_all.keys() == {"Posted", "account_frozen"}
    later = select(Entry.direction, func.count()).where(Entry.account_id == alice.id, Entry.seq > frozen_at_seq)
    async with sessionmaker() as session:
        directions = {row[0]: row[1] for row in await session.execute(later.group_by(Entry.direction))}
        held = select(func.count()).where(Hold.account_id == alice.id)
        account = await session.get_one(Account, alice.id)
        holds = await session.scalar(held)
    assert directions.keys() <= {"CREDIT"}, directions
    assert directions["CREDIT"] > 0, "money still came in"
    assert account.held == 100 * (holds or 0)


async def test_a_bulk_request_is_refused_item_by_item(
    sessionmaker: SessionMaker, group_commit: GroupCommit, alice: Account, bob: Account
) -> None:
    assert alice.owner_id is not None
    outcomes: list[Outcome] = []

    def conclude(decided: object) -> Conclusion:
        outcomes[:] = list(decided)  # type: ignore[call-overload]
        return Conclusion(Answer(200, {}), ())

    claim = claim_for(alice.owner_id, str(new_id()), method="POST", route="/transfers/bulk", body={})
    async with sessionmaker.begin() as session:
        await freezing.freeze(session, alice.owner_id)
        bulk = asyncio.create_task(
            group_commit.post_together(Together(claim, [moved(alice, bob), moved(alice, bob)], conclude))
        )
        await until_a_lock_is_awaited(sessionmaker)
    await bulk
    assert [type(each.error) for each in outcomes if isinstance(each, Rejected)] == [AccountFrozen] * 2
