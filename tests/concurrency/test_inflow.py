"""Payments, roll-ups and readers at once: nothing is counted twice, left out, or seen half."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.inflow import commands
from shared.inflow.commands import roll_up
from shared.inflow.rollups import inflow_between
from shared.inflow.views import Inflow
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, InflowWatermark
from shared.proof.prove import prove
from tests.support.deadlines import deadline
from tests.support.factories import create_merchant
from tests.support.waiting import eventually_async

PAYMENTS = 120
PAYERS = 4

Seen = tuple[int, int, int]
"""What a report said, between the balances before and after it."""


async def pay(sessionmaker: SessionMaker, shop: UUID, number: int) -> None:
    for _ in range(number):
        async with sessionmaker.begin() as session:
            await post_one(session, Transfer(new_id(), "payment", system_accounts.FUNDING, shop, 100))


async def keep_rolling_up(sessionmaker: SessionMaker, shop: UUID, stop: asyncio.Event) -> int:
    rolled_up = 0
    while not stop.is_set():
        async with sessionmaker.begin() as session:
            rolled_up += await roll_up(session, shop)
        await asyncio.sleep(0)
    return rolled_up


async def keep_reading(sessionmaker: SessionMaker, shop: UUID, seen: list[Seen], stop: asyncio.Event) -> None:
    day = [datetime.now(UTC) + timedelta(days=offset) for offset in (-1, 1)]
    while not stop.is_set():
        before = await balance(sessionmaker, shop)
        async with sessionmaker() as session:
            (inflow,) = await inflow_between(session, shop, day)
        assert inflow.amount == inflow.count * 100
        seen.append((before, inflow.amount, await balance(sessionmaker, shop)))


async def balance(sessionmaker: SessionMaker, account_id: UUID) -> int:
    async with sessionmaker() as session:
        return (await session.get_one(Account, account_id)).balance


async def test_reports_stay_true_while_payments_come_in_and_two_processes_roll_them_up(
    fresh_sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "ENTRIES_PER_ROLL_UP", 7)
    async with fresh_sessionmaker.begin() as session:
        shop = (await create_merchant(session)).id
    stop = asyncio.Event()
    rolling_up = [asyncio.create_task(keep_rolling_up(fresh_sessionmaker, shop, stop)) for _ in range(2)]
    seen: list[Seen] = []
    reading = asyncio.create_task(keep_reading(fresh_sessionmaker, shop, seen, stop))

    async def two_were_read() -> bool:
        return len(seen) > 1 or reading.done()

    for _ in range(2):
        await asyncio.gather(*[pay(fresh_sessionmaker, shop, PAYMENTS // PAYERS // 2) for _ in range(PAYERS)])
        await eventually_async(two_were_read, "two reports were read")  # before the other half comes in
    stop.set()
    rolled_up = sum(await asyncio.gather(*rolling_up))
    await reading

    assert len(seen) > 1
    assert all(before <= amount <= after for before, amount, after in seen), seen
    async with fresh_sessionmaker() as session:
        mark = await session.get_one(InflowWatermark, shop)
        day = [clock.now() + timedelta(days=offset) for offset in (-1, 1)]
        assert await inflow_between(session, shop, day) == [Inflow(PAYMENTS * 100, PAYMENTS)]
    assert mark.seq == rolled_up <= PAYMENTS
    report = await prove(fresh_sessionmaker)
    assert report.ok, report.failed


async def test_a_shop_that_another_process_rolls_up_is_skipped(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        shop = (await create_merchant(session)).id
        await roll_up(session, shop)
    await pay(sessionmaker, shop, 3)
    async with sessionmaker.begin() as first, sessionmaker.begin() as second:
        assert await roll_up(first, shop) == 3
        assert await roll_up(second, shop) == 0
    async with sessionmaker.begin() as session:
        assert await roll_up(session, shop) == 0


async def test_a_first_roll_up_started_five_times_at_once_happens_once(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        shop = (await create_merchant(session)).id
    await pay(sessionmaker, shop, 3)

    async def roll_up_once() -> int:
        async with sessionmaker.begin() as session:
            return await roll_up(session, shop)

    assert sorted(await asyncio.gather(*[roll_up_once() for _ in range(5)])) == [0, 0, 0, 0, 3]


async def test_rolling_up_delays_no_payment(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        shop = (await create_merchant(session)).id
    await pay(sessionmaker, shop, 1)
    async with sessionmaker.begin() as session:
        assert await roll_up(session, shop) == 1
        async with asyncio.timeout(deadline()):
            await pay(sessionmaker, shop, 1)
