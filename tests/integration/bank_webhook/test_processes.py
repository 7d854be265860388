"""Replicas on one port, told to stop under load: as a deployment replaces them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import func, select

from shared.db.engine import SessionMaker
from shared.models import Account, Entry, OnRamp
from tests.support.bank_notices import SignedRequest, create_on_ramp, payment_notice, signed, webhook_values
from tests.support.deadlines import deadline, patience
from tests.support.factories import create_user
from tests.support.ports import free_ports
from tests.support.processes import listens
from tests.support.waiting import eventually_async, until_a_lock_is_awaited

ROOT = Path(__file__).parents[3]

Launch = Callable[[], "Replica"]


class Replica:
    """One instance of the webhook, started from the command line."""

    def __init__(self, port: int, environment: dict[str, str], log: Path) -> None:
        self._log = log
        self._port = port
        arguments = ["-m", "services.bank_webhook", "--host", "127.0.0.1", "--port", str(port), "--reuse-port"]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    async def started(self) -> Replica:
        async def has_started() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            has_begun = "Application startup complete" in self._log.read_text()
            return has_begun and self._listens()  # which it does a moment after it says so

        await eventually_async(has_started, "the webhook starts", seconds=60)
        return self

    def _listens(self) -> bool:
        """Whether one of its processes does, of which there are as many as cores."""
        supervisor = psutil.Process(self.process.pid)
        return any(listens(each.pid, self._port) for each in (supervisor, *supervisor.children()))

    async def stopped(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, deadline(60))


@pytest.fixture
def port() -> int:
    """One that no other test is given."""
    (found,) = free_ports(1)
    return found


@pytest.fixture
async def launch(database_url: str, port: int, tmp_path: Path) -> AsyncIterator[Launch]:
    """Starts replicas; whatever a test left running is killed at its end."""
    values = {f"BATUA_{name.upper()}": str(value) for name, value in webhook_values(database_url).items()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), **values}
    replicas: list[Replica] = []

    def launch() -> Replica:
        replicas.append(Replica(port, environment, tmp_path / f"replica-{len(replicas)}.log"))
        return replicas[-1]

    yield launch
    for replica in replicas:
        if replica.process.poll() is None:
            replica.process.kill()
            await asyncio.to_thread(replica.process.wait)


async def deliver(port: int, request: SignedRequest) -> list[int]:
    """Send as a bank does, each time on a new connection, until it is taken. The answers; 0 where none came."""
    answers: list[int] = []
    ends_at = time.monotonic() + patience()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=deadline()) as client:
        while 200 not in answers and time.monotonic() < ends_at:
            try:
                response = await client.post(
                    request.path, content=request.body, headers={**request.headers, "connection": "close"}
                )
                answers.append(response.status_code)
            except httpx.HTTPError:
                answers.append(0)
                await asyncio.sleep(0.05)
    return answers


async def many_on_ramps(sessionmaker: SessionMaker, count: int) -> tuple[Account, list[OnRamp]]:
    async with sessionmaker.begin() as session:
        wallet = await create_user(session)
        return wallet, [await create_on_ramp(session, wallet, amount=100) for _ in range(count)]


async def test_a_rolling_restart_under_load_loses_no_delivery(
    launch: Launch, port: int, sessionmaker: SessionMaker
) -> None:
    wallet, on_ramps = await many_on_ramps(sessionmaker, 200)
    waiting = iter([signed(payment_notice(on_ramp)) for on_ramp in on_ramps])
    replicas = [launch(), launch()]
    for replica in replicas:
        await replica.started()
    outcomes: list[list[int]] = []
    is_restarted = asyncio.Event()

    async def send_on() -> None:
        for request in waiting:
            outcomes.append(await deliver(port, request))
            # The load goes on for as long as processes are replaced.
            while len(outcomes) > len(on_ramps) // 2 and not is_restarted.is_set():
                outcomes[-1] += await deliver(port, request)

    senders = [asyncio.create_task(send_on()) for _ in range(6)]
    codes = []
    for old in replicas:
        await launch().started()
        codes.append(await old.stopped())
    is_restarted.set()
    await asyncio.gather(*senders)

    assert codes == [0, 0]
    assert len(outcomes) == len(on_ramps)
    assert all(200 in answers for answers in outcomes)
    assert {status for answers in outcomes for status in answers} <= {0, 200, 503}
    async with sessionmaker() as session:
        balance = (await session.get_one(Account, wallet.id)).balance
        entries = await session.scalar(select(func.count()).select_from(Entry).where(Entry.account_id == wallet.id))
    assert (balance, entries) == (100 * len(on_ramps), len(on_ramps))


async def test_a_request_under_way_is_answered_before_the_process_ends(
    launch: Launch, port: int, sessionmaker: SessionMaker
) -> None:
    _, (on_ramp,) = await many_on_ramps(sessionmaker, 1)
    replica = await launch().started()
    async with sessionmaker() as blocker:
        await blocker.get_one(OnRamp, on_ramp.id, with_for_update=True)
        request = signed(payment_notice(on_ramp))
        sent = asyncio.create_task(deliver(port, request))
        await until_a_lock_is_awaited(sessionmaker)
        ended = asyncio.create_task(replica.stopped())
        await until_refused(port)
        assert not sent.done()
        await blocker.rollback()
    assert await sent == [200]
    assert await ended == 0


async def until_refused(port: int) -> None:
    async def is_refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return True
        writer.close()
        return False

    await eventually_async(is_refused, "it takes no more connections")


async def test_it_starts_and_is_healthy_with_nothing_else_running(port: int, tmp_path: Path) -> None:
    values = webhook_values("postgresql://nobody@127.0.0.1:1/nothing")
    environment = {f"BATUA_{name.upper()}": str(value) for name, value in values.items()}
    environment = os.environ | environment | {"PYTHONPATH": str(ROOT)}
    replica = Replica(port, environment, tmp_path / "alone.log")
    try:
        await replica.started()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
    finally:
        assert await replica.stopped() == 0
