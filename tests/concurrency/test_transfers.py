"""Races that commit for real, each ending in books that add up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import asyncpg
from sqlalchemy import case, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker
from shared.db.transaction import SessionTransaction
from shared.idempotency.claims import Answer, claim_for
from shared.idempotency.errors import RequestInFlight
from shared.ids import new_id
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Instruction, InstructionOutcome, Replayed, post, post_instructions
from shared.ledger.rules import Posted, Rejected, Transfer
from shared.models import Account, Entry
from tests.support.factories import create_merchant, create_user


def send(sender: Account, receiver: Account, amount: int, key: str) -> Instruction:
    assert sender.owner_id is not None
    return Instruction(
        Transfer(new_id(), "p2p", sender.id, receiver.id, amount, initiated_by=sender.owner_id),
        claim_for(sender.owner_id, key, method="POST", route="/transfers", body={"amount": amount}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(sender.id)}),
    )


async def in_a_transaction_of_its_own(sessionmaker: SessionMaker, instruction: Instruction) -> InstructionOutcome:
    """Posted again as long as the lock does not come in time: on a busy machine, many wait for one account."""
    while True:
        try:
            async with sessionmaker.begin() as session:
                (outcome,) = await post_instructions(SessionTransaction(session), [instruction])
        except DBAPIError as error:
            if not isinstance(getattr(error.orig, "orig", error.orig), asyncpg.LockNotAvailableError):
                raise
        else:
            return outcome


async def balance(sessionmaker: SessionMaker, account: Account) -> int:
    async with sessionmaker() as session:
        return (await session.get_one(Account, account.id)).balance


async def test_of_fifty_transfers_with_money_for_twenty_twenty_happen(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=2000), await create_user(session)
    outcomes = await asyncio.gather(
        *[in_a_transaction_of_its_own(sessionmaker, send(alice, bob, 100, f"{n}")) for n in range(50)]
    )
    assert Counter(type(outcome) for outcome in outcomes) == {Posted: 20, Rejected: 30}
    assert (await balance(sessionmaker, alice), await balance(sessionmaker, bob)) == (0, 2000)


async def test_of_fifty_in_one_batch_twenty_happen_too(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=2000), await create_user(session)
    group_commit = GroupCommit(engine)
    outcomes = await asyncio.gather(*[group_commit.post(send(alice, bob, 100, f"{n}")) for n in range(50)])
    await group_commit.close()
    assert Counter(type(outcome) for outcome in outcomes) == {Posted: 20, Rejected: 30}
    assert (await balance(sessionmaker, alice), await balance(sessionmaker, bob)) == (0, 2000)


async def test_money_sent_both_ways_at_once_never_deadlocks(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=100_000), await create_user(session, balance=100_000)
    group_commits = [GroupCommit(engine) for _ in range(3)]  # three processes' worth
    storm = []
    for number in range(150):
        sender, receiver = (alice, bob) if number % 2 else (bob, alice)
        instruction = send(sender, receiver, 1 + number, f"{number}")
        storm.append(
            in_a_transaction_of_its_own(sessionmaker, instruction)
            if number % 3 == 0
            else group_commits[number % 3].post(instruction)
        )
    outcomes = await asyncio.gather(*storm)
    for group_commit in group_commits:
        await group_commit.close()
    assert {type(outcome) for outcome in outcomes} == {Posted}
    assert await balance(sessionmaker, alice) + await balance(sessionmaker, bob) == 200_000


async def in_the_end(group_commit: GroupCommit, instruction: Instruction) -> InstructionOutcome:
    """What a caller hears who comes again while a copy of the request is under way elsewhere."""
    while True:
        outcome = await group_commit.post(instruction)
        if not (isinstance(outcome, Rejected) and isinstance(outcome.error, RequestInFlight)):
            return outcome


async def test_twenty_copies_of_a_request_move_money_once(sessionmaker: SessionMaker, engine: AsyncEngine) -> None:
    async with sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=2000), await create_user(session)
    group_commits = [GroupCommit(engine) for _ in range(4)]
    outcomes = await asyncio.gather(
        *[in_the_end(group_commits[n % 4], send(alice, bob, 100, "same")) for n in range(20)]
    )
    for group_commit in group_commits:
        await group_commit.close()
    assert Counter(type(outcome) for outcome in outcomes) == {Posted: 1, Replayed: 19}
    answers = {str(outcome.answer.body) for outcome in outcomes if isinstance(outcome, Replayed)}
    assert answers == {"{'balance_after': 1900}"}
    assert await balance(sessionmaker, bob) == 100


async def test_a_storm_over_shared_accounts_leaves_the_books_coherent(
    sessionmaker: SessionMaker, engine: AsyncEngine
) -> None:
    async with sessionmaker.begin() as session:
        pool = [await create_user(session, balance=500) for _ in range(6)]
        pool += [await create_merchant(session, balance=0) for _ in range(2)]
    dice = random.Random(20261120)
    group_commits = [GroupCommit(engine) for _ in range(2)]
    storm = []
    for number in range(400):
        sender, receiver = dice.sample(pool, 2)
        storm.append(group_commits[number % 2].post(send(sender, receiver, dice.randint(1, 300), f"{number}")))
    outcomes = await asyncio.gather(*storm)
    for group_commit in group_commits:
        await group_commit.close()

    assert {type(outcome) for outcome in outcomes} == {Posted, Rejected}
    signed = func.sum(case((Entry.direction == "CREDIT", Entry.amount), else_=-Entry.amount))
    async with sessionmaker() as session:
        accounts = [await session.get_one(Account, account.id) for account in pool]
        for account in accounts:
            written = select(signed, func.count()).where(Entry.account_id == account.id)
            total, count = (await session.execute(written)).one()
            assert account.balance == (total or 0) >= 0
            assert account.seq == count
    assert sum(account.balance for account in accounts) == 6 * 500


async def test_refunds_at_once_never_exceed_the_payment(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=1000), await create_merchant(session, balance=5000)
        payment = Transfer(new_id(), "payment", buyer.id, shop.id, 1000)
        await post(session, [payment])

    async def refund() -> object:
        async with sessionmaker.begin() as session:
            command = Transfer(new_id(), "refund", shop.id, buyer.id, 150, reverses=payment.id)
            (outcome,) = await post(session, [command])
        return type(outcome)

    outcomes = await asyncio.gather(*[refund() for _ in range(20)])
    assert Counter(outcomes) == {Posted: 6, Rejected: 14}
    assert await balance(sessionmaker, buyer) == 900
