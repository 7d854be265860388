"""Many calls to one bank at once, each on a connection of its own, and never more than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr

from infra.demo.actors import NO_TLS
from shared.banks.client import BankClient
from shared.banks.connections import Connections
from shared.banks.errors import NotSent
from shared.banks.settings import BankEndpoint
from tests.support.deadlines import deadline
from tests.support.waiting import eventually_async

MOST = 4


class Server:
    """Answers each request once `is_open` is set; knows how many connections it has had and how many wait."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.connections = 0
        self.waiting = 0
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.waiting += 1
                await self.is_open.wait()
                self.waiting -= 1
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    bank = Server()
    listening = await asyncio.start_server(bank.serve, "127.0.0.1", 0)
    bank.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield bank
    listening.close()


@asynccontextmanager
async def client(server: Server, *, wait_seconds: float = 60, most: int = MOST) -> AsyncIterator[httpx.AsyncClient]:
    timeout = httpx.Timeout(deadline(), pool=wait_seconds)
    connections = Connections(most, NO_TLS)
    async with httpx.AsyncClient(base_url=server.url, transport=connections, timeout=timeout) as opened:
        yield opened


async def waits(server: Server, count: int) -> bool:
    return server.waiting == count


async def test_no_more_than_so_many_calls_are_under_way_and_connections_are_used_again(server: Server) -> None:
    async with client(server) as http:
        calls = [asyncio.create_task(http.get("/")) for _ in range(3 * MOST)]
        await eventually_async(lambda: waits(server, MOST), "as many as allowed are under way")
        server.is_open.set()
        assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * (3 * MOST)
        for _ in range(3):
            await http.get("/")
    assert server.connections == MOST


async def test_a_call_that_finds_no_connection_in_time_was_not_sent(server: Server) -> None:
    async with client(server, wait_seconds=0.01) as http:
        held = [asyncio.create_task(http.get("/")) for _ in range(MOST)]
        await eventually_async(lambda: waits(server, MOST), "all connections are in use")
        with pytest.raises(httpx.PoolTimeout):
            await http.get("/")
        assert server.waiting == MOST
        server.is_open.set()
        await asyncio.gather(*held)


async def test_calls_that_are_given_up_or_fail_leave_their_connections_to_others(server: Server) -> None:
    async with client(server) as http:
        given_up = [asyncio.create_task(http.get("/")) for _ in range(MOST)]
        await eventually_async(lambda: waits(server, MOST), "all connections are in use")
        for call in given_up:
            call.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        server.is_open.set()
        server.answer = b"no HTTP at all\r\n\r\n"
        broken = await asyncio.gather(*(http.get("/") for _ in range(MOST)), return_exceptions=True)
        assert all(isinstance(error, httpx.RemoteProtocolError) for error in broken)
        server.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        answers = await asyncio.gather(*(http.get("/") for _ in range(MOST)))
        assert [answer.json() for answer in answers] == [{}] * MOST


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_call_that_is_cancelled_at_any_step_spoils_no_connection(server: Server, is_connected: bool) -> None:
    server.is_open.set()
    has_ended, steps = False, 0
    while not has_ended:
        async with client(server, wait_seconds=deadline(2), most=1) as http:
            if is_connected:
                await http.get("/")
            call = asyncio.create_task(http.get("/"))
            for _ in range(steps):
                await asyncio.sleep(0)
            has_ended, steps = call.done(), steps + 1
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert (await http.get("/")).status_code == 200


async def test_a_bank_client_says_not_sent_when_all_its_connections_are_in_use(server: Server) -> None:
    endpoint = BankEndpoint(code="hdfc", name="HDFC", url=server.url, api_key=SecretStr("key"))
    bank = BankClient(endpoint, deadline(2), max_connections=1)
    first = asyncio.create_task(bank.enquire("first"))
    await eventually_async(lambda: waits(server, 1), "the only connection is in use")
    with pytest.raises(NotSent):
        await bank.enquire("second")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await bank.aclose()
