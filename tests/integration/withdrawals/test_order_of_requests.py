"""Requests of one owner are decided one after the other: the day's limit and the queue follow the wallet's lock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from shared import clock
from shared.config import MovementLimits
from shared.db.engine import SessionMaker
from shared.db.transaction import Transaction
from shared.http.keyed_requests import WITHDRAW
from shared.idempotency import store
from shared.idempotency.claims import Answer, Claim
from shared.idempotency.marks import Marks
from shared.ledger.errors import LimitExceeded
from shared.models import Account, Withdrawal
from shared.withdrawals import commands, queueing
from tests.support.factories import create_user
from tests.support.number_keys import NUMBER_KEYS
from tests.support.waiting import until_a_lock_is_awaited

MIDNIGHT_IN_INDIA = datetime(2027, 3, 1, 18, 30, tzinfo=UTC)


async def withdraw(
    sessionmaker: SessionMaker, wallet: Account, key: str, amount: int, limits: MovementLimits
) -> Answer:
    assert wallet.owner_id is not None
    return await commands.request(
        WITHDRAW.request(wallet.owner_id, key),
        sessionmaker=sessionmaker,
        marks=Marks(sessionmaker),
        number_keys=NUMBER_KEYS,
        limits=limits,
        max_unfinished=100,
        requires_verified_email=False,
        amount=amount,
        bank="hdfc",
        account_number="50100123451234",
        ifsc="HDFC0001234",
        account_holder="Asha Rao",
    )


async def test_requests_that_wait_over_midnight_are_within_one_days_limit(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=10_000_00)
    limits = MovementLimits(withdrawal_per_day_paise=1_000_00, withdrawal_per_movement_paise=1_000_00)
    now = MIDNIGHT_IN_INDIA - timedelta(milliseconds=500)
    with clock.reading(lambda: now):
        async with sessionmaker() as blocker:
            await blocker.get_one(Account, wallet.id, with_for_update=True)
            tasks = [asyncio.create_task(withdraw(sessionmaker, wallet, f"k{n}", 1_000_00, limits)) for n in range(4)]
            await until_a_lock_is_awaited(sessionmaker)
            now = MIDNIGHT_IN_INDIA + timedelta(milliseconds=500)
            await blocker.rollback()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)] == [LimitExceeded] * 3


async def test_ids_are_in_the_order_of_the_queue(sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=10_000_00)
    lock = queueing._lock
    has_begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def lock_late(transaction: Transaction, claim: Claim) -> Any:
        if claim.key == "first":
            has_begun.set()
            await may_go_on.wait()
        return await lock(transaction, claim)

    monkeypatch.setattr(queueing, "_lock", lock_late)
    first = asyncio.create_task(withdraw(sessionmaker, wallet, "first", 100, MovementLimits()))
    await has_begun.wait()
    second = await withdraw(sessionmaker, wallet, "second", 200, MovementLimits())
    may_go_on.set()
    assert (second.body["position"], (await first).body["position"]) == (1, 2)
    async with sessionmaker() as session:
        queue = select(Withdrawal.amount).where(Withdrawal.owner_id == wallet.owner_id).order_by(Withdrawal.id)
        assert list(await session.scalars(queue)) == [200, 100]


async def test_a_copy_that_the_lock_of_the_key_lets_through_holds_nothing(
    sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, balance=10_000_00)
    # The same lock number for no two keys: a copy waits for the wallet, and has looked for the key too early.
    each_its_own = queueing._LOCK.replace(store._LOCK_NUMBER, "(random() * 1e15)::bigint")
    monkeypatch.setattr(queueing, "_LOCK", each_its_own)
    async with sessionmaker() as blocker:
        await blocker.get_one(Account, wallet.id, with_for_update=True)
        copies = [asyncio.create_task(withdraw(sessionmaker, wallet, "k", 100, MovementLimits())) for _ in range(3)]
        await until_a_lock_is_awaited(sessionmaker, by=3)
        await blocker.rollback()
    answers = await asyncio.gather(*copies)
    assert sorted(answer.is_replayed for answer in answers) == [False, True, True]
    assert len({answer.body["id"] for answer in answers}) == 1
    async with sessionmaker() as session:
        assert (await session.get_one(Account, wallet.id)).held == 100
