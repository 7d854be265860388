"""Group commit under faults that a real database can show."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger import group_commit as group_commit_module
from shared.ledger.errors import LedgerBusy
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, Replayed, Together
from shared.ledger.rules import Posted, Transfer
from shared.models import Account, Entry, IdempotencyKey
from tests.support.deadlines import deadline
from tests.support.factories import create_merchant, create_user
from tests.support.held_keys import HeldKey
from tests.support.locks import let_batches_wait, locked
from tests.support.waiting import until_a_lock_is_awaited


def pay(buyer: Account, shop: Account, key: str, *, initiated_by: UUID | None = None) -> Instruction:
    assert buyer.owner_id is not None
    return Instruction(
        Transfer(new_id(), "payment", buyer.id, shop.id, 10, initiated_by=initiated_by or buyer.owner_id),
        claim_for(buyer.owner_id, key, method="POST", route="/transfers", body={"key": key}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(buyer.id)}),
    )


async def commits_so_far(sessionmaker: SessionMaker, shop: Account) -> int:
    """How many transactions wrote the shop's entries."""
    async with sessionmaker() as session:
        counted = select(func.count(func.distinct(text("xmin::text")))).select_from(Entry)
        return await session.scalar(counted.where(Entry.account_id == shop.id)) or 0


async def test_instructions_that_arrive_during_a_batch_are_posted_together(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_batches_wait(monkeypatch)
    async with sessionmaker.begin() as session:
        buyers = [await create_user(session, balance=100) for _ in range(30)]
        shop = await create_merchant(session)
    group_commit = GroupCommit(engine)
    async with locked(sessionmaker, "accounts", shop.id):
        first = asyncio.create_task(group_commit.post(pay(buyers[0], shop, "first")))
        await until_a_lock_is_awaited(sessionmaker)
        rest = [asyncio.create_task(group_commit.post(pay(buyer, shop, "k"))) for buyer in buyers[1:]]
        await asyncio.sleep(0)  # let them queue up behind the first
    outcomes = await asyncio.gather(first, *rest)
    await group_commit.close()
    assert {type(outcome) for outcome in outcomes} == {Posted}
    assert await commits_so_far(sessionmaker, shop) == 2


async def test_one_bad_command_does_not_fail_its_neighbours(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        buyers = [await create_user(session, balance=100) for _ in range(3)]
        shop = await create_merchant(session)
    group_commit = GroupCommit(engine, lanes=1)
    instructions = [
        pay(buyers[0], shop, "k"),
        pay(buyers[1], shop, "k", initiated_by=new_id()),  # no such owner: the database rejects the row
        pay(buyers[2], shop, "k"),
    ]
    one, bad, other = await asyncio.gather(*map(group_commit.post, instructions), return_exceptions=True)
    await group_commit.close()
    assert isinstance(one, Posted)
    assert isinstance(bad, asyncpg.ForeignKeyViolationError)
    assert isinstance(other, Posted)


async def test_a_lost_connection_is_retried_and_moves_money_once(
    sessionmaker: SessionMaker, engine: AsyncEngine
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    group_commit = GroupCommit(engine)
    async with locked(sessionmaker, "accounts", shop.id):
        payment = asyncio.create_task(group_commit.post(pay(buyer, shop, "k")))
        await until_a_lock_is_awaited(sessionmaker)
        async with sessionmaker() as session:
            await session.execute(
                text("""
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE wait_event_type = 'Lock' AND datname = current_database()
                """)
            )
    assert isinstance(await payment, Posted)
    assert isinstance(await group_commit.post(pay(buyer, shop, "k")), Replayed)
    await group_commit.close()
    async with sessionmaker() as session:
        assert (await session.get_one(Account, shop.id)).balance == 10


async def test_a_database_that_stays_unreachable_answers_ledger_busy(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    group_commit = GroupCommit(engine)
    monkeypatch.setattr(group_commit_module, "TIMEOUT_SECONDS", 0.2)
    async with locked(sessionmaker, "accounts", shop.id):
        with pytest.raises(LedgerBusy):
            await group_commit.post(pay(buyer, shop, "k"))
    monkeypatch.setattr(group_commit_module, "TIMEOUT_SECONDS", deadline())
    assert isinstance(await group_commit.post(pay(buyer, shop, "k")), Posted | Replayed)
    await group_commit.close()
    with pytest.raises(LedgerBusy):
        await group_commit.post(pay(buyer, shop, "after closing"))


async def test_a_full_queue_rejects_instructions(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    monkeypatch.setattr(group_commit_module, "MAX_WAITING", 2)
    group_commit = GroupCommit(engine, max_batch=1)
    tasks = [asyncio.create_task(group_commit.post(pay(buyer, shop, f"{n}"))) for n in range(5)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await group_commit.close()
    assert [type(outcome) for outcome in outcomes] == [Posted, Posted, LedgerBusy, LedgerBusy, LedgerBusy]


async def test_one_owner_with_a_long_queue_holds_up_no_other(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand payments of one owner wait; that of a stranger, who comes last, is in the next batch."""
    async with sessionmaker.begin() as session:
        flooder, stranger = await create_user(session, balance=100_000), await create_user(session, balance=10)
        shop = await create_merchant(session)
    group_commit, held = GroupCommit(engine), HeldKey(monkeypatch)
    first = asyncio.create_task(group_commit.post(pay(flooder, shop, "first")))
    await held.is_locked.wait()
    many = [asyncio.create_task(group_commit.post(pay(flooder, shop, f"{n}"))) for n in range(1000)]
    last = asyncio.create_task(group_commit.post(pay(stranger, shop, "k")))
    await asyncio.sleep(0)
    held.go_on.set()
    outcome = await last
    assert isinstance(outcome, Posted)
    assert not all(payment.done() for payment in many)
    (seq,) = [entry.seq for entry in outcome.entries if entry.account_id == shop.id]
    assert seq <= 1 + group_commit_module.MAX_BATCH
    outcomes = await asyncio.gather(first, *many)
    await group_commit.close()
    assert {type(each) for each in outcomes} == {Posted}


async def test_one_owner_leaves_room_in_the_queue(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessionmaker.begin() as session:
        flooder, stranger = await create_user(session, balance=100), await create_user(session, balance=100)
        shop = await create_merchant(session)
    monkeypatch.setattr(group_commit_module, "MAX_WAITING_OF_OWNER", 2)
    group_commit = GroupCommit(engine)
    flood = [group_commit.post(pay(flooder, shop, f"{n}")) for n in range(4)]
    outcomes = await asyncio.gather(*flood, group_commit.post(pay(stranger, shop, "k")), return_exceptions=True)
    await group_commit.close()
    assert [type(outcome) for outcome in outcomes] == [Posted, Posted, LedgerBusy, LedgerBusy, Posted]


async def test_an_instruction_needs_its_idempotency_key(engine: AsyncEngine) -> None:
    group_commit = GroupCommit(engine)
    with pytest.raises(ValueError, match="needs its idempotency key"):
        await group_commit.post(Instruction(Transfer(new_id(), "p2p", new_id(), new_id(), 1)))


async def test_an_answer_that_cannot_be_stored_fails_only_its_caller(
    sessionmaker: SessionMaker, engine: AsyncEngine
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    good = pay(buyer, shop, "good")
    bad = Instruction(good.command, pay(buyer, shop, "bad").claim, lambda _posted: Answer(201, {"amount": object()}))
    group_commit = GroupCommit(engine)
    with pytest.raises(TypeError):
        await group_commit.post(bad)
    assert isinstance(await group_commit.post(good), Posted)
    await group_commit.close()


async def test_a_caller_who_left_does_not_hold_up_the_lane(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    group_commit = GroupCommit(engine, lanes=1)
    async with locked(sessionmaker, "accounts", shop.id):
        first = asyncio.create_task(group_commit.post(pay(buyer, shop, "first")))
        await until_a_lock_is_awaited(sessionmaker)
        left = asyncio.create_task(group_commit.post(pay(buyer, shop, "left")))
        await asyncio.sleep(0)
        left.cancel()
        first.cancel()
    assert isinstance(await group_commit.post(pay(buyer, shop, "third")), Posted)
    assert isinstance(await group_commit.post(pay(buyer, shop, "first")), Replayed)
    await group_commit.close()


async def test_an_instruction_whose_caller_left_before_its_batch_is_dropped(
    sessionmaker: SessionMaker, engine: AsyncEngine
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    group_commit = GroupCommit(engine, lanes=1)
    async with locked(sessionmaker, "accounts", shop.id):
        first = asyncio.create_task(group_commit.post(pay(buyer, shop, "first")))
        await until_a_lock_is_awaited(sessionmaker)
        left = asyncio.create_task(group_commit.post(pay(buyer, shop, "left")))
        stayed = asyncio.create_task(group_commit.post(pay(buyer, shop, "stayed")))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
    assert [type(outcome) for outcome in await asyncio.gather(first, stayed)] == [Posted, Posted]
    await group_commit.close()
    async with sessionmaker() as session:
        keys = select(IdempotencyKey.key).where(IdempotencyKey.owner_id == buyer.owner_id)
        assert set(await session.scalars(keys)) == {"first", "stayed"}
        assert (await session.get_one(Account, shop.id)).balance == 20


@pytest.mark.parametrize("together", [False, True])
async def test_what_was_accepted_is_posted_before_it_closes(
    sessionmaker: SessionMaker, engine: AsyncEngine, together: bool
) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    group_commit = GroupCommit(engine, max_batch=2)
    tasks: list[asyncio.Task[object]] = []
    async with locked(sessionmaker, "accounts", shop.id):
        for key in "abcd":
            if together:
                tasks.append(asyncio.create_task(group_commit.post_together(pay_twice(buyer, shop, key))))
            else:
                tasks.append(asyncio.create_task(group_commit.post(pay(buyer, shop, key))))
        await until_a_lock_is_awaited(sessionmaker)
        closing = asyncio.create_task(group_commit.close())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
    await asyncio.gather(closing, *tasks)
    async with sessionmaker() as session:
        assert (await session.get_one(Account, shop.id)).balance == (80 if together else 40)
    with pytest.raises(LedgerBusy):
        await group_commit.post_together(pay_twice(buyer, shop, "late"))


def pay_twice(buyer: Account, shop: Account, key: str) -> Together:
    assert buyer.owner_id is not None
    return Together(
        claim_for(buyer.owner_id, key, method="POST", route="/transfers/bulk", body={"key": key}),
        [Transfer(new_id(), "payment", buyer.id, shop.id, 10) for _ in range(2)],
        lambda outcomes: Conclusion(Answer(200, {"posted": len(outcomes)}), ()),
    )


async def test_one_owner_cannot_take_every_place_of_bulk_transfers(
    sessionmaker: SessionMaker, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessionmaker.begin() as session:
        greedy, other = await create_user(session, balance=1000), await create_user(session, balance=100)
        shop = await create_merchant(session)
    monkeypatch.setattr(group_commit_module, "MAX_TOGETHER_WAITING", 6)
    group_commit = GroupCommit(engine)
    async with locked(sessionmaker, "accounts", shop.id):
        many = [asyncio.create_task(group_commit.post_together(pay_twice(greedy, shop, f"{n}"))) for n in range(10)]
        await until_a_lock_is_awaited(sessionmaker)
        fair = asyncio.create_task(group_commit.post_together(pay_twice(other, shop, "k")))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*many, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Answer] * 4 + [LedgerBusy] * 6
    assert await fair == Answer(200, {"posted": 2})
    again = await asyncio.gather(*[group_commit.post_together(pay_twice(greedy, shop, f"{n}")) for n in range(4)])
    assert all(answer.is_replayed for answer in again)  # the places are free again
    await group_commit.close()


async def test_many_commands_under_one_key_are_posted_once(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    commits: list[object] = []

    def lose_the_first(accounts: object) -> None:  # Postgres has committed, and its answer is lost
        commits.append(accounts)
        if len(commits) == 1:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    here, there = GroupCommit(engine, lose_the_first), GroupCommit(engine)
    first = await here.post_together(pay_twice(buyer, shop, "k"))
    again = await there.post_together(pay_twice(buyer, shop, "k"))
    assert first == again == Answer(200, {"posted": 2}, is_replayed=True)
    async with sessionmaker() as session:
        assert (await session.get_one(Account, shop.id)).balance == 20


async def test_a_statement_that_a_migration_made_invalid_is_prepared_again(
    fresh_database_url: str, fresh_sessionmaker: SessionMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with fresh_sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=100), await create_merchant(session)
    engine = create_engine(DatabaseSettings(database_url=SecretStr(fresh_database_url)), application_name="tests")
    group_commit = GroupCommit(engine)
    assert isinstance(await group_commit.post(pay(buyer, shop, "before")), Posted)
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text("ALTER TABLE accounts ALTER COLUMN currency TYPE text"))
    with caplog.at_level("INFO"):
        assert isinstance(await group_commit.post(pay(buyer, shop, "after")), Posted)
    assert "cached statement plan is invalid" in caplog.text
    await group_commit.close()
    await engine.dispose()
