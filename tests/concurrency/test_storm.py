"""A storm: people and shops do everything at once while the database gives transactions up at random.

A model beside it adds up what callers were told. In the end every balance is what the model says, the bank has paid
each withdrawal once, and the books are proven.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis

from shared.banks.client import clients_for
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import new_token
from shared.models import OnRamp, Withdrawal
from shared.proof.prove import prove
from shared.withdrawals.dispatcher import Dispatcher
from tests.support.apps import API, PASSWORD, PIN, Signed
from tests.support.bank_notices import payment_notice, signed
from tests.support.bank_settings import BANK_API_KEY, endpoints
from tests.support.deadlines import deadline
from tests.support.faulty_world import World, faulty_world
from tests.support.waiting import eventually_async
from tests.support.withdrawal_world import HASTY, engine_on

STORM_DATABASE = "BATUA_TESTS_STORM_DATABASE"
"""The URL of a migrated database without a withdrawal, set by `python -m infra.engines`."""
PEOPLE, SHOPS = 6, 2
STEPS = 20
"""What each of them does, one after the other."""
FAULTS = 0.03
"""The share of statements that meet one."""
ACCOUNT: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}


@dataclass
class Storm:
    """The people, and what they must have by what they were told."""

    world: World
    dice: random.Random
    people: list[Signed] = field(default_factory=list)
    shops: list[Signed] = field(default_factory=list)
    has: Counter[UUID] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    withdrawn: dict[UUID, tuple[Signed, int]] = field(default_factory=dict)

    async def told(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Ask with the same key until the answer decides."""
        async with asyncio.timeout(deadline(60)):
            while True:
                answer = await ask()
                self.statuses[answer.status_code] += 1
                is_open = answer.status_code == 503 or (answer.status_code == 409 and "in_flight" in answer.text)
                if not is_open:
                    return answer
                await asyncio.sleep(0.05)

    async def sends(self, who: Signed) -> None:
        to, amount, key = self._payee(), self.dice.randint(1_00, 50_00), new_token()
        answer = await self.told(lambda: who.post("/transfers", key=key, to=to.wallet_id, amount=amount, pin=PIN))
        if answer.status_code == 201:
            self._moves(who, to, amount)

    async def sends_many(self, who: Signed) -> None:
        to = [self._payee() for _ in range(3)]
        amounts = [self.dice.randint(1_00, 20_00) for _ in to]
        items = [{"to": each.wallet_id, "amount": amount} for each, amount in zip(to, amounts, strict=True)]
        key = new_token()
        answer = await self.told(lambda: who.post("/transfers/bulk", key=key, items=items, pin=PIN))
        assert answer.status_code == 200, answer.text
        for each, amount, result in zip(to, amounts, answer.json()["results"], strict=True):
            if result["status"] == 201:
                self._moves(who, each, amount)

    async def pays_and_is_refunded(self, who: Signed) -> None:
        shop, amount, key = self.dice.choice(self.shops), self.dice.randint(2_00, 30_00), new_token()
        paid = await self.told(lambda: who.post("/transfers", key=key, to=shop.wallet_id, amount=amount, pin=PIN))
        if paid.status_code != 201:
            return
        self._moves(who, shop, amount)
        path, back, key = f"/transactions/{paid.json()['id']}/refund", self.dice.randint(1, amount), new_token()
        for _ in range(2):  # the second time it is a copy
            refunded = await self.told(lambda: shop.post(path, key=key, amount=back, pin=PIN))
        if refunded.status_code == 201:
            self._moves(shop, who, back)

    async def adds_money(self, who: Signed) -> None:
        amount, key = self.dice.randint(1_00, 90_00), new_token()
        started = await self.told(lambda: who.post("/on-ramps", key=key, bank="hdfc", amount=amount))
        assert started.status_code == 201, started.text
        on_ramp = await self.world.one(OnRamp, OnRamp.id == UUID(started.json()["id"]))
        notice = signed(payment_notice(on_ramp))
        deliver = partial(self.world.webhook.post, notice.path, content=notice.body, headers=notice.headers)
        for _ in range(2):  # the bank says it twice
            told = await self.told(deliver)
            assert told.status_code == 200, told.text
        self.has[who.id] += amount

    async def withdraws(self, who: Signed) -> None:
        amount, key = self.dice.randint(1_00, 40_00), new_token()
        asked = await self.told(lambda: who.post("/withdrawals", key=key, **ACCOUNT, amount=amount, pin=PIN))
        if asked.status_code != 202:
            return
        self.withdrawn[UUID(asked.json()["id"])] = (who, amount)
        if self.dice.random() < 0.3:
            await self.told(lambda: who.post(f"/withdrawals/{asked.json()['id']}/cancel", key=None))

    async def signs_up(self, _: Signed) -> None:
        email = f"{new_token(8).lower().strip('-_')}@example.com"
        body = {"email": email, "password": PASSWORD, "pin": PIN, "first_name": "Meera", "last_name": "Rao"}
        before = self.statuses[503]
        app = self.world.user_app
        answer = await self.told(lambda: app.client.post(f"{API}/auth/register", json=body))
        app.client.cookies.clear()
        assert answer.status_code == 201 or (answer.status_code == 409 and self.statuses[503] > before), answer.text

    async def does(self, who: Signed) -> None:
        """One thing after the other, drawn from all."""
        everything = [self.sends, self.sends_many, self.pays_and_is_refunded, self.adds_money, self.withdraws]
        for _ in range(STEPS):
            await self.dice.choice([*everything, self.sends, self.signs_up])(who)

    def _payee(self) -> Signed:
        return self.dice.choice([*self.people, *self.shops])

    def _moves(self, who: Signed, to: Signed, amount: int) -> None:
        self.has[who.id] -= amount
        self.has[to.id] += amount


@asynccontextmanager
async def paying_out(sessionmaker: SessionMaker, bank_url: str) -> AsyncIterator[None]:
    """A worker's dispatcher on these sessions."""
    clients = clients_for(endpoints(bank_url), timeout_seconds=HASTY.bank_timeout_seconds)
    is_over = asyncio.Event()
    dispatcher = Dispatcher(engine_on(sessionmaker, clients, HASTY))
    running = asyncio.create_task(dispatcher.run(is_over.is_set))
    try:
        yield
    finally:
        is_over.set()
        dispatcher.wake()
        await running
        for client in clients.values():
            await client.aclose()


async def paid_by_bank(bank_url: str) -> Counter[str]:
    """How often the bank paid under each reference."""
    async with httpx.AsyncClient(trust_env=False, headers={"X-Api-Key": BANK_API_KEY}) as client:
        lines = (await client.get(f"{bank_url}/hdfc/api/statement")).json()["items"]
    return Counter(line["reference"] for line in lines if line["direction"] == "DEBIT")


@pytest.fixture
def storm_database_url(request: pytest.FixtureRequest) -> str:
    """A new database, or the one whose books are proven again afterwards."""
    return os.environ.get(STORM_DATABASE) or str(request.getfixturevalue("fresh_database_url"))


@pytest.mark.slow
async def test_every_paisa_is_where_callers_were_told(
    storm_database_url: str, redis_url: str, redis: Redis, bank_url: str
) -> None:
    engine = create_engine(DatabaseSettings(database_url=storm_database_url), application_name="tests")
    async with faulty_world(create_sessionmaker(engine), storm_database_url, redis_url, bank_url) as world:
        storm = Storm(world, random.Random(20261127))
        for number in range(PEOPLE):
            storm.people.append(await world.user_app.person(f"Asha{number}", balance=200_00))
            storm.has[storm.people[-1].id] = 200_00
        storm.shops = [await world.merchant_app.shop(f"Chai Point {number}") for number in range(SHOPS)]
        async with paying_out(world.user_app.sessionmaker, bank_url):
            world.faults.begin_storm(random.Random(7), FAULTS)
            await asyncio.gather(*(storm.does(who) for who in storm.people))
            made = world.faults.made
            world.faults.end()

            async def is_paid_out() -> bool:
                return not await world.count(Withdrawal, Withdrawal.finished_at.is_(None))

            await eventually_async(is_paid_out, "every withdrawal ends", seconds=60)
        paid = await paid_by_bank(bank_url)
        for withdrawal_id, (who, amount) in storm.withdrawn.items():
            status = (await world.one(Withdrawal, Withdrawal.id == withdrawal_id)).status
            assert paid[str(withdrawal_id)] == (status == "succeeded"), status
            storm.has[who.id] -= amount if status == "succeeded" else 0
        assert await world.count(Withdrawal) == len(storm.withdrawn)
        for who in [*storm.people, *storm.shops]:
            account = await world.account(who)
            assert (account.balance, account.held) == (storm.has[who.id], 0), who.profile
        report = await prove(world.sessionmaker)
        assert report.ok, report.failed
    await engine.dispose()
    assert made > 50, made
    assert {status for status in storm.statuses if status >= 500} <= {503}, storm.statuses
