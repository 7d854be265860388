"""Two replicas of each service behind a proxy are restarted in turn under load. No request fails, though the proxy
repeats none and most have no idempotency key."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import select

from services.bank_webhook.settings import BankWebhookSettings
from shared.db.engine import SessionMaker
from shared.models import Account, Entry, OnRamp
from tests.support.apps import PASSWORD, PIN, Signed, merchant_app_settings, sign_up_at, user_app_settings
from tests.support.bank_notices import create_on_ramp, payment_notice, signed, webhook_values
from tests.support.deadlines import deadline
from tests.support.events import listening_to
from tests.support.factories import create_user
from tests.support.load_balancer import LoadBalancer, balancing
from tests.support.processes import Processes, launched_processes
from tests.support.waiting import eventually_async

REQUESTS = 2_000
NOTICES = 400
PAUSE_SECONDS = 0.05
"""Of each caller between two rounds, so that the services have time to start beside the load."""
SERVICES = ("user_app", "merchant_app", "bank_webhook")
REPLICAS = 2
OK = {httpx.codes.OK, httpx.codes.CREATED}


@dataclass
class Deployment:
    """The replicas of each service, and the proxy before them."""

    replicas: dict[str, list[Processes]]
    proxy: LoadBalancer

    async def replace_each(self) -> list[int]:
        """Stop and start one replica of each service, and when those get requests again, the next; the exit codes."""
        codes: list[int] = []
        for number in range(REPLICAS):
            restarts = [asyncio.to_thread(self.replicas[name][number].restart) for name in SERVICES]
            codes += await asyncio.gather(*restarts)
            for name in SERVICES:
                await asyncio.to_thread(self.proxy.until_ready, name, REPLICAS)
        return codes


@pytest.fixture
def deployment(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """Each replica is one process with few connections to Postgres. The delay is many checks of the proxy long."""
    common: dict[str, Any] = {"database_pool_size": 3, "shutdown_delay_seconds": min(60, deadline(4))}
    common["trusted_proxies"] = ["127.0.0.0/8"]
    settings: dict[str, BaseModel] = {
        "user_app": user_app_settings(database_url, redis_url, **common),
        "merchant_app": merchant_app_settings(database_url, redis_url, **common),
        "bank_webhook": BankWebhookSettings(**webhook_values(database_url, **common)),
    }
    with ExitStack() as stack:
        replicas = {
            name: [
                stack.enter_context(
                    launched_processes(name, settings[name], tmp_path / f"{name}-{number}.log", count=1)
                )
                for number in range(REPLICAS)
            ]
            for name in SERVICES
        }
        for replica in chain.from_iterable(replicas.values()):
            replica.started()
        ports = {name: [each.port for each in found] for name, found in replicas.items()}
        proxy = stack.enter_context(balancing(ports, tmp_path))
        for name in SERVICES:
            proxy.until_ready(name, REPLICAS)
        yield Deployment(replicas, proxy)


@dataclass
class Load:
    """Callers who send one request after another until told to end, and what each request led to."""

    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    async def send(self, what: str, request: Awaitable[httpx.Response]) -> bool:
        """Note what a request led to; whether it succeeded."""
        try:
            answer = await request
        except httpx.HTTPError as error:
            self.failures.append(f"{what}: {type(error).__name__}")
            return False
        self.answers[what] += 1
        if answer.status_code not in OK:
            self.failures.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code in OK

    async def is_enough(self) -> bool:
        """Whether every notice was answered, and REQUESTS in all."""
        return self.answers["notice"] >= NOTICES and self.answers.total() >= REQUESTS

    async def pay(self, asha: Signed, to: str) -> int:
        """Payments with their keys, and what a page reads; how many were made."""
        paid = 0
        while not self.is_over.is_set():
            paid += await self.send("transfer", asha.send(to, 1_00))
            await self.send("wallet", asha.get("/wallet"))
            await self.send("statement", asha.get("/transactions"))
            await self.send("pin", asha.post("/auth/pin", key=None, pin=PIN))
            await asyncio.sleep(PAUSE_SECONDS)
        return paid

    async def keep_shop(self, shop: Signed) -> None:
        """What a shop does that has no key."""
        email = shop.profile["email"]
        while not self.is_over.is_set():
            await self.send("sign-in", shop.post("/auth/login", key=None, email=email, password=PASSWORD))
            await self.send("inflow", shop.get("/inflow/summary"))
            await asyncio.sleep(PAUSE_SECONDS)

    async def notify(self, client: httpx.AsyncClient, on_ramps: Iterator[OnRamp]) -> None:
        """A bank's notices, each sent once: one about each on-ramp first, then repeats of the last of them."""
        request = None
        while not self.is_over.is_set():
            on_ramp = next(on_ramps, None)
            if on_ramp is not None:
                request = signed(payment_notice(on_ramp))
            assert request is not None
            await self.send("notice", client.post(request.path, content=request.body, headers=request.headers))
            await asyncio.sleep(PAUSE_SECONDS)


@dataclass
class Page:
    """A page that hears of payments. It connects again where it was when a stream ends, as a browser does."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """It hears of what comes after its first event, which says how things stand."""
    received: list[str] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)
    """What each stream that ended said last."""

    async def listen(self, url: str, token: str) -> None:
        last_id = ""
        while True:
            word = ""
            async with listening_to(url, token, **({"last_event_id": last_id} if last_id else {})) as stream:
                while (heard := await stream.next()) is not None:
                    word, last_id = str(heard.data), heard.id or last_id
                    if heard.id:
                        self.begun.set()
                    if heard.name == "transaction":
                        self.received.append(heard.data["id"])
            self.last_words.append(word)


@pytest.mark.timeout(240)
async def test_replicas_are_replaced_in_turn_and_no_request_fails(
    deployment: Deployment, sessionmaker: SessionMaker
) -> None:
    urls, load, page = deployment.proxy.urls, Load(), Page()
    async with AsyncExitStack() as stack:
        clients = [httpx.AsyncClient(base_url=urls[name], trust_env=False, timeout=deadline(60)) for name in SERVICES]
        people, shops, bank = [await stack.enter_async_context(client) for client in clients]
        payers = [await new_person(people, sessionmaker, balance=100_000_00) for _ in "123"]
        ravi = await new_person(people, sessionmaker)
        shop = await sign_up_at(shops, sessionmaker, "merchant", business_name="Chai Point")
        async with sessionmaker.begin() as session:
            wallet = await create_user(session)
            waiting = iter([await create_on_ramp(session, wallet, amount=100) for _ in range(NOTICES)])
        listening = asyncio.create_task(page.listen(urls["user_app"], ravi.token))
        await asyncio.wait_for(page.begun.wait(), deadline(60))
        paying = [asyncio.create_task(load.pay(asha, ravi.wallet_id)) for asha in payers]
        others = [load.keep_shop(shop), load.notify(bank, waiting), load.notify(bank, waiting)]
        beside = [asyncio.create_task(each) for each in others]

        codes = await deployment.replace_each()
        await eventually_async(load.is_enough, "enough requests were answered", seconds=60)
        load.is_over.set()
        paid = sum(await asyncio.gather(*paying))
        await asyncio.gather(*beside)

        assert load.failures == []
        assert codes == [0] * REPLICAS * len(SERVICES)
        account_id = UUID((await ravi.wallet())["account_id"])
        async with sessionmaker() as session:
            ids = list(await session.scalars(select(Entry.transfer_id).where(Entry.account_id == account_id)))
            assert (await session.get_one(Account, wallet.id)).balance == 100 * NOTICES, "a delivery was lost"
        assert len(ids) == paid
        await eventually_async(has_heard(page, listening, paid), "the page hears of every payment")
        assert sorted(page.received) == sorted(map(str, ids))
        assert page.last_words, "no stream was open at a replica that stopped"
        assert all(word.startswith("retry: ") for word in page.last_words), page.last_words
        listening.cancel()


def has_heard(page: Page, listening: asyncio.Task[None], count: int) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        if listening.done():
            listening.result()
        return len(page.received) >= count

    return ask


async def new_person(client: httpx.AsyncClient, sessionmaker: SessionMaker, balance: int = 0) -> Signed:
    return await sign_up_at(client, sessionmaker, balance=balance, first_name="Asha", last_name="Rao")
