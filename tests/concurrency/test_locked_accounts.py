"""A lock that stays on one account, such as an operator's, holds up only those who need that account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger import group_commit as group_commit_module
from shared.ledger.errors import LedgerBusy
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, Together
from shared.ledger.rules import Posted, Transfer
from shared.models import Account, Entry
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.locks import locked
from tests.support.waiting import until_a_lock_is_awaited


@pytest.fixture(autouse=True)
def _patient_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit_module, "TIMEOUT_SECONDS", deadline(60))


@pytest.fixture
async def group_commit(engine: AsyncEngine) -> AsyncIterator[GroupCommit]:
    opened = GroupCommit(engine)
    yield opened
    await opened.close()


def send(sender: Account, receiver: Account, key: str, amount: int = 100) -> Instruction:
    assert sender.owner_id is not None
    return Instruction(
        Transfer(new_id(), "p2p", sender.id, receiver.id, amount, initiated_by=sender.owner_id),
        claim_for(sender.owner_id, key, method="POST", route="/transfers", body={"amount": amount}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(sender.id)}),
    )


def many(owner: Account, *receivers: Account) -> Together:
    assert owner.owner_id is not None
    return Together(
        claim_for(owner.owner_id, "bulk", method="POST", route="/transfers/bulk", body={}),
        [Transfer(new_id(), "p2p", owner.id, each.id, 10, initiated_by=owner.owner_id) for each in receivers],
        lambda outcomes: Conclusion(Answer(200, {"posted": len(outcomes)}), ()),
    )


async def people(sessionmaker: SessionMaker, count: int) -> list[Account]:
    async with sessionmaker.begin() as session:
        return [await create_user(session, balance=1000) for _ in range(count)]


async def balances(sessionmaker: SessionMaker, accounts: Sequence[Account]) -> list[int]:
    async with sessionmaker() as session:
        return [(await session.get_one(Account, account.id)).balance for account in accounts]


async def test_others_go_on_while_one_account_is_locked(sessionmaker: SessionMaker, group_commit: GroupCommit) -> None:
    asha, bela, ravi, john = await people(sessionmaker, 4)
    async with locked(sessionmaker, "accounts", ravi.id):
        stuck = [asyncio.create_task(group_commit.post(send(asha, ravi, "in"))) for _ in range(1)]
        stuck.append(asyncio.create_task(group_commit.post(send(ravi, bela, "out"))))
        await until_a_lock_is_awaited(sessionmaker)
        for number in range(20):  # in the same batch, and in later ones
            assert isinstance(await group_commit.post(send(bela, john, f"{number}", 1)), Posted)
        assert not any(task.done() for task in stuck)
    assert {type(outcome) for outcome in await asyncio.gather(*stuck)} == {Posted}
    assert await balances(sessionmaker, [asha, bela, ravi, john]) == [900, 1080, 1000, 1020]


async def test_each_locked_account_is_tried_in_turn(sessionmaker: SessionMaker, group_commit: GroupCommit) -> None:
    """The one whose lock ends first is not behind the one whose lock stays."""
    asha, *blocked = await people(sessionmaker, 4)
    async with locked(sessionmaker, "accounts", blocked[0].id):
        async with (
            locked(sessionmaker, "accounts", blocked[2].id),
            locked(sessionmaker, "accounts", blocked[1].id),
        ):
            first, second, third = [
                asyncio.create_task(group_commit.post(send(asha, each, f"{each.id}"))) for each in blocked
            ]
            await until_a_lock_is_awaited(sessionmaker)
        assert isinstance(await second, Posted)
        assert isinstance(await third, Posted)
        assert not first.done()
    assert isinstance(await first, Posted)
    assert await balances(sessionmaker, [asha, *blocked]) == [700, 1100, 1100, 1100]


async def test_those_who_wait_for_one_account_keep_their_order(
    sessionmaker: SessionMaker, group_commit: GroupCommit
) -> None:
    asha, ravi, john = await people(sessionmaker, 3)
    tasks = []
    async with locked(sessionmaker, "accounts", ravi.id):
        tasks.append(asyncio.create_task(group_commit.post(send(asha, ravi, "0", 1))))
        await until_a_lock_is_awaited(sessionmaker)
        for number in range(1, 30):
            tasks.append(asyncio.create_task(group_commit.post(send(asha, ravi, f"{number}", 1 + number))))
            if number == 15:
                assert isinstance(await group_commit.post(send(asha, john, "past them", 1)), Posted)
    await asyncio.gather(*tasks)
    async with sessionmaker() as session:
        amounts = select(Entry.amount).where(Entry.account_id == ravi.id, Entry.seq > 1).order_by(Entry.seq)
        assert list(await session.scalars(amounts)) == list(range(1, 31))


async def test_what_is_set_aside_takes_turns_with_bulk_requests(
    sessionmaker: SessionMaker, group_commit: GroupCommit
) -> None:
    """Bulk requests in line do not stand before it one and all."""
    asha, bela, ravi, *payers = await people(sessionmaker, 9)
    ended: list[str] = []

    async def noted(name: str, work: Awaitable[object]) -> None:
        await work
        ended.append(name)

    async with locked(sessionmaker, "accounts", ravi.id):
        tasks = [asyncio.create_task(noted("set aside", group_commit.post(send(asha, ravi, "k"))))]
        await until_a_lock_is_awaited(sessionmaker)
        assert isinstance(await group_commit.post(send(payers[0], bela, "k")), Posted)
        tasks += [
            asyncio.create_task(noted("bulk", group_commit.post_together(many(payer, *[bela] * 90))))
            for payer in payers
        ]
        await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
    while_locked = len(ended)  # more than one, where the end of the lock takes its time
    await asyncio.gather(*tasks)
    assert ended.index("set aside") <= while_locked + 2, ended


async def test_bulk_requests_leave_time_to_single_transfers_that_wait(
    sessionmaker: SessionMaker, group_commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, bela, ravi, john, zoya = await people(sessionmaker, 5)
    pauses: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noted(delay: float, callback: Callable[..., object], *arguments: object, **more: Any) -> asyncio.TimerHandle:
        if callback == group_commit._line.release:
            pauses.append(delay)
        return call_later(delay, callback, *arguments, **more)

    monkeypatch.setattr(loop, "call_later", noted)
    assert await group_commit.post_together(many(asha, bela)) == Answer(200, {"posted": 1})
    assert pauses == [0]
    async with locked(sessionmaker, "accounts", ravi.id):
        stuck = asyncio.create_task(group_commit.post(send(john, ravi, "k")))
        await until_a_lock_is_awaited(sessionmaker)
        assert await group_commit.post_together(many(zoya, bela)) == Answer(200, {"posted": 1})
        assert 0 < pauses[-1] <= group_commit_module.MAX_TURN_PAUSE_SECONDS
    assert isinstance(await stuck, Posted)


async def test_a_locked_owner_holds_up_no_other(sessionmaker: SessionMaker, group_commit: GroupCommit) -> None:
    """The transfer refers to the owner who sends it: Postgres waits for that row when it writes."""
    asha, bela, ravi = await people(sessionmaker, 3)
    async with locked(sessionmaker, "owners", asha.owner_id):
        stuck = asyncio.create_task(group_commit.post(send(asha, ravi, "k")))
        neighbour = asyncio.create_task(group_commit.post(send(bela, ravi, "k")))
        assert isinstance(await neighbour, Posted)
        assert isinstance(await group_commit.post(send(bela, ravi, "k2")), Posted)
        assert not stuck.done()
    assert isinstance(await stuck, Posted)
    assert await balances(sessionmaker, [asha, bela, ravi]) == [900, 800, 1300]


async def test_what_is_set_aside_is_bounded_and_ends_with_its_caller(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, ravi, john = await people(sessionmaker, 3)
    monkeypatch.setattr(group_commit_module, "MAX_SET_ASIDE", 2)
    group_commit = GroupCommit(engine)
    async with locked(sessionmaker, "accounts", ravi.id):
        tasks = [asyncio.create_task(group_commit.post(send(asha, ravi, f"{number}"))) for number in range(4)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=deadline(20))
        assert [type(task.exception()) for task in tasks if task.done()] == [LedgerBusy] * 2
        tasks[0].cancel()
        assert isinstance(await group_commit.post(send(asha, john, "k")), Posted)
        closing = asyncio.create_task(group_commit.close())
        await asyncio.sleep(0)
        assert not closing.done()
    assert isinstance(await tasks[1], Posted)
    await closing
    assert await balances(sessionmaker, [asha, ravi, john]) == [800, 1100, 1100]


async def test_a_bulk_request_that_waits_for_an_account_gives_the_others_back(
    sessionmaker: SessionMaker, group_commit: GroupCommit
) -> None:
    asha, bela, ravi, john = await people(sessionmaker, 4)
    async with locked(sessionmaker, "accounts", john.id):
        stuck = asyncio.create_task(group_commit.post_together(many(asha, ravi, john)))
        await until_a_lock_is_awaited(sessionmaker)
        assert isinstance(await group_commit.post(send(asha, ravi, "single")), Posted)
        assert await group_commit.post_together(many(bela, ravi)) == Answer(200, {"posted": 1})
        assert not stuck.done()
    assert await stuck == Answer(200, {"posted": 2})
    assert await balances(sessionmaker, [asha, bela, ravi, john]) == [880, 990, 1120, 1010]
