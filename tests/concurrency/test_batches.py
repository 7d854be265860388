"""Batches of several processes, and what carries out a request by itself, meet at keys and accounts."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker
from shared.idempotency import store
from shared.idempotency.claims import Answer, claim_for
from shared.idempotency.errors import RequestInFlight
from shared.ids import new_id
from shared.ledger import group_commit as group_commit_module
from shared.ledger import sql
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Instruction, InstructionOutcome, Replayed, post_instructions, post_one
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.models import Account, Entry, IdempotencyKey
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.held_keys import HeldKey
from tests.support.locks import let_batches_wait, locked
from tests.support.waiting import until_a_lock_is_awaited


def send(sender: Account, receiver: Account, key: str, amount: int = 100) -> Instruction:
    assert sender.owner_id is not None
    return Instruction(
        Transfer(new_id(), "p2p", sender.id, receiver.id, amount, initiated_by=sender.owner_id),
        claim_for(sender.owner_id, key, method="POST", route="/transfers", body={"amount": amount}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(sender.id)}),
    )


async def people(sessionmaker: SessionMaker, count: int, balance: int = 1000) -> list[Account]:
    async with sessionmaker.begin() as session:
        return [await create_user(session, balance=balance) for _ in range(count)]


async def balances(sessionmaker: SessionMaker, accounts: Sequence[Account]) -> list[int]:
    async with sessionmaker() as session:
        return [(await session.get_one(Account, account.id)).balance for account in accounts]


async def keys_of(sessionmaker: SessionMaker, owner: Account) -> list[str]:
    async with sessionmaker() as session:
        stored = select(IdempotencyKey.key).where(IdempotencyKey.owner_id == owner.owner_id)
        return sorted(await session.scalars(stored))


async def test_a_key_that_is_busy_elsewhere_holds_up_no_other(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, bela, ravi, john = await people(sessionmaker, 4)
    here, there, held = GroupCommit(engine), GroupCommit(engine), HeldKey(monkeypatch)
    first = asyncio.create_task(here.post(send(asha, ravi, "shared")))
    await held.is_locked.wait()
    copy = asyncio.create_task(there.post(send(asha, ravi, "shared")))
    neighbour = asyncio.create_task(there.post(send(bela, john, "own")))
    assert isinstance(await neighbour, Posted)
    told = await copy
    assert isinstance(told, Rejected)
    assert isinstance(told.error, RequestInFlight)
    assert not first.done()
    held.go_on.set()
    assert isinstance(await first, Posted)
    assert isinstance(await there.post(send(asha, ravi, "shared")), Replayed)
    await asyncio.gather(here.close(), there.close())
    assert await balances(sessionmaker, [asha, bela, ravi, john]) == [900, 900, 1100, 1100]


async def test_another_body_under_the_key_elsewhere_moves_nothing(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asha, ravi, john = await people(sessionmaker, 3)
    here, there, held = GroupCommit(engine), GroupCommit(engine), HeldKey(monkeypatch)
    first = asyncio.create_task(here.post(send(asha, ravi, "k")))
    await held.is_locked.wait()
    meanwhile = await there.post(send(asha, john, "k", amount=7))
    assert isinstance(meanwhile, Rejected)
    assert isinstance(meanwhile.error, RequestInFlight)
    held.go_on.set()
    assert isinstance(await first, Posted)
    outcome = await there.post(send(asha, john, "k", amount=7))
    assert isinstance(outcome, Rejected)
    assert outcome.error.facts() == {"fields": ["amount"]}
    await asyncio.gather(here.close(), there.close())
    assert await balances(sessionmaker, [asha, ravi, john]) == [900, 1100, 1000]


async def test_a_key_that_is_finished_after_the_look_moves_money_once(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot of the look may be older than the commit that has just freed the key's lock."""
    asha, bela, ravi = await people(sessionmaker, 3)
    here, there = GroupCommit(engine), GroupCommit(engine)
    let_batches_wait(monkeypatch)
    # The same lock number for no two keys: the copy is not kept out by the lock, so the primary key must decide.
    for mode, statement in sql._LOOK_UP_AND_LOCK.items():
        each_its_own = statement.replace(store._LOCK_NUMBER, "(random() * 1e15)::bigint")
        monkeypatch.setitem(sql._LOOK_UP_AND_LOCK, mode, each_its_own)
    async with locked(sessionmaker, "accounts", asha.id):  # both have looked when they wait for the account
        one = asyncio.gather(here.post(send(asha, ravi, "k2")), here.post(send(bela, ravi, "k")))
        other = asyncio.create_task(there.post(send(asha, ravi, "k2")))
        await until_a_lock_is_awaited(sessionmaker, by=2)
    (here_told, neighbour), there_told = await one, await other
    assert isinstance(neighbour, Posted)
    assert {type(here_told), type(there_told)} == {Replayed, Posted}
    await asyncio.gather(here.close(), there.close())
    assert await balances(sessionmaker, [asha, bela, ravi]) == [900, 900, 1200]


async def terminate(sessionmaker: SessionMaker, pid: int) -> None:
    """End a server process, and wait until it has ended."""
    async with sessionmaker() as session:
        assert await session.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


async def test_a_crash_between_write_and_commit_loses_nothing_and_doubles_nothing(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = await people(sessionmaker, 5)
    written = 0

    async def write_and_crash(
        connection: asyncpg.Connection, instructions: Sequence[Instruction]
    ) -> list[InstructionOutcome]:
        nonlocal written
        outcomes = await post_instructions(connection, instructions)
        written += 1
        if written == 1:
            await terminate(sessionmaker, await connection.fetchval("SELECT pg_backend_pid()"))
        return outcomes

    monkeypatch.setattr(group_commit_module, "post_instructions", write_and_crash)
    group_commit = GroupCommit(engine)
    outcomes = await asyncio.gather(*[group_commit.post(send(one, accounts[0], "k")) for one in accounts[1:]])
    await group_commit.close()
    assert {type(outcome) for outcome in outcomes} == {Posted}
    assert written == 2
    assert await balances(sessionmaker, accounts) == [1400, 900, 900, 900, 900]


async def test_a_commit_whose_answer_is_lost_is_found_again(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    asha, bela, ravi = await people(sessionmaker, 3)
    commits: list[object] = []

    def lose_the_first(accounts: object) -> None:  # called when Postgres has committed and the caller is not told yet
        commits.append(accounts)
        if len(commits) == 1:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    group_commit = GroupCommit(engine, lose_the_first)
    outcomes = await asyncio.gather(*[group_commit.post(send(one, ravi, "k")) for one in (asha, bela)])
    await group_commit.close()
    assert [outcome.answer for outcome in outcomes if isinstance(outcome, Replayed)] == [
        Answer(201, {"balance_after": 900}, is_replayed=True),
        Answer(201, {"balance_after": 900}, is_replayed=True),
    ]
    assert await balances(sessionmaker, [asha, bela, ravi]) == [900, 900, 1200]


async def send_by_itself(sessionmaker: SessionMaker, instruction: Instruction) -> InstructionOutcome:
    """As a refund or a withdrawal does: claim, post, store the answer, in one transaction."""
    assert instruction.claim is not None
    assert instruction.answer is not None
    async with sessionmaker.begin() as session:
        known = await store.claim_one(session, instruction.claim)
        if known is not None:
            return Replayed(instruction.command, known)
        posted = await post_one(session, instruction.command)
        await store.finish(session, [(instruction.claim, instruction.answer(posted))])
        return posted


async def test_batches_and_single_requests_never_deadlock(
    sessionmaker: SessionMaker, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Few keys and few accounts, so that every order in which they can be locked comes up."""
    pool = await people(sessionmaker, 5, balance=100_000)
    dice = random.Random(20261126)
    processes = [GroupCommit(engine, max_batch=8) for _ in range(3)]
    moved = 0
    async with asyncio.timeout(deadline(120)):
        for round_number in range(25):
            requests = []
            for number in range(40):
                sender, receiver = dice.sample(pool, 2)
                instruction = send(sender, receiver, f"{round_number}-{dice.randrange(6)}", dice.randint(1, 3))
                requests.append(
                    send_by_itself(sessionmaker, instruction)
                    if number % 4 == 0
                    else processes[number % 3].post(instruction)
                )
            outcomes = await asyncio.gather(*requests, return_exceptions=True)
            kinds = Counter(
                outcome.error.code if isinstance(outcome, Rejected) else getattr(outcome, "code", type(outcome))
                for outcome in outcomes
            )
            assert kinds.keys() <= {Posted, Replayed, "idempotency_key_reused", "request_in_flight"}, kinds
            moved += kinds[Posted]
    await asyncio.gather(*[process.close() for process in processes])
    assert "Deadlock" not in caplog.text  # a batch would have been tried again
    async with sessionmaker() as session:
        ids = [account.id for account in pool]
        entries = await session.scalar(select(func.count()).select_from(Entry).where(Entry.account_id.in_(ids)))
        keys = [len(await keys_of(sessionmaker, account)) for account in pool]
    assert sum(await balances(sessionmaker, pool)) == 5 * 100_000
    assert entries == 2 * moved + len(pool)
    assert sum(keys) == moved
