"""Wake-ups are published after the commit, and only then."""

from __future__ import annotations

from collections.abc import Set
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.engine import SessionMaker, create_sessionmaker
from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.wakeups.announcer import Announcer, channel_of
from shared.wakeups.commits import announce_commits, wake_after_commit
from tests.support.deadlines import deadline
from tests.support.factories import create_user

Told = list[Set[UUID]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def announcing(engine: AsyncEngine, told: Told) -> SessionMaker:
    sessionmaker = create_sessionmaker(engine)
    announce_commits(sessionmaker, told.append)
    return sessionmaker


async def test_both_owners_of_a_transfer_are_woken_after_its_commit(
    announcing: SessionMaker, sessionmaker: SessionMaker, told: Told
) -> None:
    async with sessionmaker.begin() as session:
        asha, ravi = await create_user(session, balance=1000), await create_user(session)
    assert told == []  # another maker's sessions
    async with announcing.begin() as session:
        await post_one(session, Transfer(new_id(), "p2p", asha.id, ravi.id, 100))
        assert told == []
    assert told == [{asha.id, ravi.id}]


async def test_a_rollback_wakes_no_owner(announcing: SessionMaker, told: Told) -> None:
    async with announcing() as session:
        await session.execute(text("SELECT 1"))
        wake_after_commit(session, [new_id()])
        await session.rollback()
    assert told == []


async def test_a_savepoint_wakes_no_owner(announcing: SessionMaker, told: Told) -> None:
    account_id = new_id()
    async with announcing() as session:
        async with session.begin_nested():
            await session.execute(text("SELECT 1"))
            wake_after_commit(session, [account_id])
        assert told == []
        await session.commit()
        assert told == [{account_id}]
        await session.execute(text("SELECT 1"))
        await session.commit()
    assert told == [{account_id}]


async def test_several_changes_become_one_wake_up(redis: Redis) -> None:
    account_id = new_id()
    announcer = Announcer(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as listening:
        await listening.subscribe(channel_of(account_id))
        await listening.get_message(timeout=deadline())  # the subscription's own answer
        for _ in range(50):
            announcer.tell([account_id])
        await announcer.aclose()
        message = await listening.get_message(timeout=deadline())
        assert message is not None
        assert message["channel"] == channel_of(account_id).encode()
        await redis.publish(channel_of(account_id), "the next message")
        message = await listening.get_message(timeout=deadline())
        assert message is not None
        assert message["data"] == b"the next message"


async def test_without_redis_no_caller_waits_and_nothing_is_raised() -> None:
    announcer = Announcer(Redis.from_url("redis://127.0.0.1:1/0"))
    for _ in range(3):
        announcer.tell([new_id()])
    await announcer.aclose()
    announcer.tell([new_id()])
