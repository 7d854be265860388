"""A service is restarted, and its processes killed, under load: what it accepted is settled, and nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field

import httpx
from sqlalchemy import func, select

from shared.db.engine import SessionMaker
from shared.models import Entry
from tests.support.apps import Signed, sign_up_at
from tests.support.deadlines import deadline
from tests.support.processes import Processes

KEYS = 120
SENDERS = 8


@dataclass
class Load:
    """People who send with the same key until they are answered, for as long as the service is being restarted."""

    sender: Signed
    to: str
    url: str
    answered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_restarted: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_on(self, name: int) -> None:
        number = 0
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=deadline(60)) as client:
            sender = Signed(client, self.sender.profile, self.sender.token)
            while self.answered < KEYS or not self.is_restarted.is_set():
                number += 1
                await self._until_settled(sender, f"{name}-{number}")
                self.answered += 1
                if self.answered > KEYS // 4:
                    self.has_begun.set()

    async def _until_settled(self, sender: Signed, key: str) -> None:
        async with asyncio.timeout(deadline(120)):
            while True:
                try:
                    answer = await sender.send(self.to, 1, key=key)
                except httpx.TransportError:
                    self.statuses[0] += 1
                    await asyncio.sleep(0.05)
                    continue
                self.statuses[answer.status_code] += 1
                if answer.status_code == httpx.codes.CREATED:
                    return
                await asyncio.sleep(0.05)


async def test_a_restart_under_load_settles_each_key_once(mortal: Processes, sessionmaker: SessionMaker) -> None:
    async with httpx.AsyncClient(base_url=mortal.url, trust_env=False, timeout=deadline(60)) as client:
        asha = await sign_up_at(client, sessionmaker, balance=1_000_00, first_name="Asha", last_name="Rao")
        ravi = await sign_up_at(client, sessionmaker, first_name="Ravi", last_name="Rao")
        account_id = (await ravi.wallet())["account_id"]
    load = Load(asha, ravi.wallet_id, mortal.url)
    senders = [asyncio.create_task(load.send_on(name)) for name in range(SENDERS)]
    await load.has_begun.wait()
    code = await asyncio.to_thread(mortal.restart)
    load.is_restarted.set()
    await asyncio.gather(*senders)

    assert code == 0
    assert set(load.statuses) <= {0, 201, 409, 503}, load.statuses
    async with sessionmaker() as session:
        received = await session.execute(
            select(func.count(), func.sum(Entry.amount)).where(Entry.account_id == account_id)
        )
    assert received.one() == (load.answered, load.answered)
    assert "Traceback" not in mortal.log()
    assert "were still being posted" not in mortal.log()


async def test_processes_killed_under_load_leave_no_key_unsettled(
    mortal: Processes, sessionmaker: SessionMaker
) -> None:
    async with httpx.AsyncClient(base_url=mortal.url, trust_env=False, timeout=deadline(60)) as client:
        asha = await sign_up_at(client, sessionmaker, balance=1_000_00, first_name="Asha", last_name="Rao")
        ravi = await sign_up_at(client, sessionmaker, first_name="Ravi", last_name="Rao")
        account_id = (await ravi.wallet())["account_id"]
    load = Load(asha, ravi.wallet_id, mortal.url)
    senders = [asyncio.create_task(load.send_on(name)) for name in range(SENDERS)]
    await load.has_begun.wait()
    for pid in mortal.pids():
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(mortal.started)
    load.is_restarted.set()
    await asyncio.gather(*senders)

    assert load.statuses[0] > 0, "no request was cut off"
    assert set(load.statuses) <= {0, 201, 409, 503}, load.statuses
    async with sessionmaker() as session:
        received = await session.execute(
            select(func.count(), func.sum(Entry.amount)).where(Entry.account_id == account_id)
        )
    assert received.one() == (load.answered, load.answered)
