"""What must be so whichever of the processes that share a port a request reaches."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from redis.asyncio import Redis

from shared.config import RateLimits
from shared.db.engine import SessionMaker
from tests.support.apps import API, PASSWORD, Signed, sign_up_at, user_app_settings
from tests.support.processes import Processes, metrics_of, requests_counted, running_processes
from tests.support.waiting import eventually_async

Both = tuple[httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture
async def both(two: Processes) -> AsyncIterator[Both]:
    """A connection to each of two processes."""
    one, other = two.pids()
    async with two.client_of(one) as first, two.client_of(other) as second:
        yield first, second


def person_at(client: httpx.AsyncClient, signed: Signed) -> Signed:
    """The same person, calling through another connection."""
    return Signed(client, signed.profile, signed.token)


async def sign_up(client: httpx.AsyncClient, sessionmaker: SessionMaker, balance: int = 0) -> Signed:
    return await sign_up_at(client, sessionmaker, balance=balance, first_name="Asha", last_name="Rao")


async def test_connections_reach_every_process(two: Processes) -> None:
    clients = [httpx.AsyncClient(base_url=two.url, trust_env=False) for _ in range(32)]
    await asyncio.gather(*(client.get("/healthz") for client in clients))
    accepted = [len(psutil.Process(pid).net_connections("tcp")) for pid in two.pids()]
    for client in clients:
        await client.aclose()
    assert min(accepted) > 1, accepted  # one socket listens; a fair coin leaves 32 connections to one side never


async def test_every_process_answers_the_sum_of_what_all_have_counted(two: Processes, both: Both) -> None:
    before = await requests_counted(two, "/readyz")
    for client in both * 3:
        assert (await client.get("/readyz")).status_code == 200
    await eventually_async(partial(are_counted, two, before + 6), "the requests of both are counted")
    assert {await requests_counted(two, "/readyz") for _ in range(16)} == {before + 6}, "whichever process answers"


async def test_every_process_answers_what_each_of_them_takes(two: Processes, both: Both) -> None:
    answered = await metrics_of(two)
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        told = {pid: float(number) for pid, number in re.findall(name + r'{pid="(\d+)"} (\S+)', answered)}
        assert told.keys() == {str(pid) for pid in two.pids()}, name
        assert min(told.values()) > 0, told
    assert (await both[0].get("/metrics")).status_code == 404, "not on the port that everyone reaches"
    assert set(re.findall(r'"pid": (\d+)', two.log())) >= {str(pid) for pid in two.pids()}


def test_the_processes_share_whom_they_served_last(two: Processes) -> None:
    shared = []
    for pid in two.pids():
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
        shared += [line.split()[4] for line in maps if "batua-recent-callers" in line]
    assert len(shared) == 2, "one piece in each process"
    assert len(set(shared)) == 1, "and it is the same"


async def are_counted(service: Processes, number: float) -> bool:
    return await requests_counted(service, "/readyz") == number


async def test_signed_out_in_one_process_is_signed_out_in_the_other(both: Both, sessionmaker: SessionMaker) -> None:
    asha = await sign_up(both[0], sessionmaker)
    there = person_at(both[1], asha)
    assert (await there.get("/wallet")).status_code == 200
    assert (await asha.post("/auth/logout")).status_code == 204
    assert (await there.get("/wallet")).status_code == 401


async def test_wrong_pins_in_both_processes_lock_it_together(both: Both, sessionmaker: SessionMaker) -> None:
    asha = await sign_up(both[0], sessionmaker, balance=10_00)
    ravi = await sign_up(both[0], sessionmaker)
    there = person_at(both[1], asha)
    for at in (asha, there, asha, there, asha):
        await at.send(ravi.wallet_id, 1_00, pin="0000")
    answer = await there.send(ravi.wallet_id, 1_00)
    assert (answer.status_code, answer.json()["code"]) == (423, "pin_locked")


async def test_one_key_sent_to_both_processes_moves_money_once(both: Both, sessionmaker: SessionMaker) -> None:
    asha = await sign_up(both[0], sessionmaker, balance=100_00)
    ravi = await sign_up(both[0], sessionmaker)
    there = person_at(both[1], asha)
    for number in range(10):
        key = f"k{number}"
        answers = await asyncio.gather(*(at.send(ravi.wallet_id, 1_00, key=key) for at in (asha, there) * 3))
        assert {answer.status_code for answer in answers} <= {201, 409}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"request_in_flight"}
        again = [await at.send(ravi.wallet_id, 1_00, key=key) for at in (asha, there)]
        assert {answer.headers.get("Idempotent-Replayed") for answer in again} == {"true"}
        assert len({answer.json()["id"] for answer in (*answers, *again) if answer.status_code == 201}) == 1
    assert (await asha.wallet())["balance"] == 90_00


async def test_a_copy_of_a_finished_request_is_answered_by_the_other_process_while_more_copies_come(
    two: Processes, both: Both, sessionmaker: SessionMaker
) -> None:
    """Once one process has answered, no copy that comes after that is told 409, whatever other copies are under way."""
    asha = await sign_up(both[0], sessionmaker, balance=100_00)
    ravi = await sign_up(both[0], sessionmaker)
    one, other = two.pids()
    async with two.client_of(one) as first, two.client_of(other) as second:
        noisy = [person_at(client, asha) for client in (first, second)]
        here, there = (person_at(client, asha) for client in both)
        for number in range(30):
            key = f"k{number}"
            noise = [asyncio.create_task(at.send(ravi.wallet_id, 1_00, key=key)) for at in noisy * 2]
            while (answer := await here.send(ravi.wallet_id, 1_00, key=key)).status_code != 201:
                assert answer.json()["code"] == "request_in_flight"
            copy = await there.send(ravi.wallet_id, 1_00, key=key)
            assert (copy.status_code, copy.json()) == (201, answer.json())
            assert {answer.status_code for answer in await asyncio.gather(*noise)} <= {201, 409}
    assert (await asha.wallet())["balance"] == 70_00


async def test_a_page_at_one_process_sees_money_that_moved_through_the_other(
    two: Processes, both: Both, sessionmaker: SessionMaker
) -> None:
    asha = await sign_up(both[0], sessionmaker, balance=10_00)
    ravi = await sign_up(both[0], sessionmaker)
    headers = {"Authorization": f"Bearer {ravi.token}", "Accept": "text/event-stream"}
    async with both[1].stream("GET", f"{API}/events", headers=headers) as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        assert (await asha.send(ravi.wallet_id, 1_23)).status_code == 201
        async for line in lines:
            if line.startswith("data:") and '"balance": 123' in line:
                break
        else:
            pytest.fail("the stream ended without the transfer")


async def test_failed_sign_ins_are_counted_together(
    database_url: str, redis_url: str, redis: Redis, sessionmaker: SessionMaker, tmp_path: Path
) -> None:
    settings = user_app_settings(database_url, redis_url).model_copy(
        update={"rate_limits": RateLimits(login_per_email="4/15minutes")}
    )
    with running_processes("user_app", settings, tmp_path / "throttled.log") as service:
        one, other = service.pids()
        async with service.client_of(one) as first, service.client_of(other) as second:
            asha = await sign_up(first, sessionmaker)
            body = {"email": asha.profile["email"], "password": "not " + PASSWORD}
            statuses = [
                (await client.post(f"{API}/auth/login", json=body)).status_code for client in (first, second) * 3
            ]
    assert statuses == [401, 401, 401, 401, 429, 429]
