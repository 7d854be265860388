"""2,100 connections of one address that never send a whole request: those of another address are served as ever."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest

from shared.db.engine import SessionMaker
from shared.serving.process import CONCURRENCY
from tests.support.apps import API, PASSWORD, sign_up_at, user_app_settings
from tests.support.deadlines import deadline
from tests.support.processes import Processes, running_processes

MANY = 2_100
SOFT_LIMIT = 1024
OTHER_ADDRESS = "127.0.0.2"
POST = b"POST /api/v1/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture(scope="module")
def two(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Two processes, started with the soft limit of open files that most machines have. The test has a higher one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(SOFT_LIMIT, hard), hard))
    log = tmp_path_factory.mktemp("two") / "user_app.log"
    with running_processes("user_app", user_app_settings(database_url, redis_url), log) as service:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        yield service
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def connections(port: int, *, each_sends: bytes) -> AsyncIterator[None]:
    opened: list[asyncio.StreamWriter] = []
    try:
        for _ in range(MANY):
            _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(OTHER_ADDRESS, 0))
            writer.write(each_sends)
            opened.append(writer)
        yield
    finally:
        for writer in opened:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)


@pytest.mark.parametrize("each_sends", [b"", POST], ids=["nothing", "half a body"])
async def test_connections_of_one_address_leave_those_of_another_served(
    two: Processes, sessionmaker: SessionMaker, each_sends: bytes
) -> None:
    async with httpx.AsyncClient(base_url=two.url, trust_env=False, timeout=deadline()) as client:
        asha = await sign_up_at(client, sessionmaker, first_name="Asha", last_name="Rao")
    sign_in = {"email": asha.profile["email"], "password": PASSWORD}
    async with connections(two.port, each_sends=each_sends):
        for _ in range(4):  # a connection each, so both processes are asked
            async with httpx.AsyncClient(base_url=two.url, trust_env=False, timeout=deadline()) as client:
                assert (await client.get("/readyz")).status_code == 200
                assert (await client.post(f"{API}/auth/login", json=sign_in)).status_code == 200


def test_a_process_may_open_as_many_files_as_it_has_places(two: Processes) -> None:
    for pid in two.pids():
        soft, hard = psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)
        assert soft >= min(hard, 2 * CONCURRENCY)
