"""A transfer that waits in a queue is dropped when its caller hangs up; one whose caller stays, or that has begun, goes
on. A real server and real sockets: only those know that a caller has left.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from shared.db.engine import SessionMaker
from shared.fair_queue import FairQueue
from shared.ledger import group_commit
from shared.models import IdempotencyKey
from shared.runtime.resources import Resources
from tests.support.apps import PIN, RunningApp, Signed, application, user_app_settings
from tests.support.deadlines import deadline
from tests.support.locks import let_batches_wait, lock_held, locked
from tests.support.serving import serving_beside
from tests.support.waiting import eventually_async, until_a_lock_is_awaited

LEFT, STAYED = 2, 1

T = TypeVar("T")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch waits for its locks until the test lets go of them, however long a busy machine takes to get there.

    In 0.2 seconds what it wants would be set aside, and would not be posted when its caller leaves.
    """
    let_batches_wait(monkeypatch)
    monkeypatch.setattr(group_commit, "TIMEOUT_SECONDS", deadline(60))


@pytest.fixture
async def user_app(
    database_url: str, redis_url: str, redis: Redis, sessionmaker: SessionMaker
) -> AsyncIterator[RunningApp]:
    """On a port. Its resources belong to the server's loop; a test only looks at them."""
    with application(user_app_settings(database_url, redis_url)) as app:
        async with serving_beside(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield RunningApp(app, client, sessionmaker)


@dataclass
class Call:
    """One request on a connection of its own."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        async with asyncio.timeout(deadline()):
            heard = await self.reader.read()
        self.writer.transport.abort()
        await asyncio.sleep(0)
        return heard

    def leave(self, *, abruptly: bool) -> None:
        (self.writer.transport.abort if abruptly else self.writer.close)()


@dataclass
class Sender:
    """Sends as one person, by the shortcut or the ordinary way, one or many at once."""

    person: Signed
    to: str
    pin_token: str
    way: str
    calls: list[Call] = field(default_factory=list)

    async def send(self, key: str) -> Call:
        path, body = "/api/v1/transfers", {"to": self.to, "amount": 100}
        headers = {"Authorization": f"Bearer {self.person.token}", "Idempotency-Key": key, "Host": "batua.test"}
        sent: dict[str, Any] = body
        if self.way == "bulk":
            path, sent = f"{path}/bulk", {"items": [body], "pin": PIN}
        elif self.way == "ordinary":
            sent = {**body, "pin": PIN}
        else:
            headers["X-Pin-Token"] = self.pin_token
        content = json.dumps(sent).encode()
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content)), "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        url = self.person.client.base_url
        reader, writer = await asyncio.open_connection(url.host, url.port)
        self.calls.append(Call(reader, writer))
        writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        await writer.drain()
        return self.calls[-1]

    async def send_all(self, keys: Sequence[str]) -> list[Call]:
        return [await self.send(key) for key in keys]


async def keys_of(owner: Signed, sessionmaker: SessionMaker) -> set[str]:
    async with sessionmaker() as session:
        return set(await session.scalars(select(IdempotencyKey.key).where(IdempotencyKey.owner_id == owner.id)))


async def sender_of(asha: Signed, ravi: Signed, way: str) -> Sender:
    token = (await asha.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"]
    return Sender(asha, ravi.wallet_id, token, way)


def items_of(queue: FairQueue[T]) -> list[T]:
    return [item for line in queue._lines.values() for item in line]


def waiting_for_the_ledger(app: RunningApp, way: str) -> int:
    """How many requests wait, those of callers who have left not counted."""
    resources: Resources = app.app.state.resources
    if way == "bulk":
        return resources.group_commit._together_waiting.total() - 1  # without the one that is being posted
    return sum(not waiting.outcome.done() for lane in resources.group_commit._lanes for waiting in items_of(lane.queue))


@pytest.mark.parametrize("abruptly", [True, False])
@pytest.mark.parametrize("way", ["shortcut", "ordinary", "bulk"])
async def test_transfers_of_callers_who_left_before_their_batch_are_not_posted(  # noqa: PLR0917 - its fixtures
    user_app: RunningApp, asha: Signed, ravi: Signed, sessionmaker: SessionMaker, way: str, abruptly: bool
) -> None:
    sender = await sender_of(asha, ravi, way)
    wallet = (await ravi.wallet())["account_id"]

    async def until_there_wait(number: int) -> None:
        async def is_so() -> bool:
            return waiting_for_the_ledger(user_app, way) == number

        await eventually_async(is_so, f"{number} requests wait for the ledger")

    async with locked(sessionmaker, "accounts", wallet):
        begun = await sender.send("begun")
        await until_a_lock_is_awaited(sessionmaker)
        left = await sender.send_all([f"left-{number}" for number in range(LEFT)])
        stayed = await sender.send_all([f"stayed-{number}" for number in range(STAYED)])
        await until_there_wait(LEFT + STAYED)
        for call in (begun, *left):
            call.leave(abruptly=abruptly)
        await until_there_wait(STAYED)
    for call in stayed:
        assert (await call.answer()).startswith(b"HTTP/1.1 200" if way == "bulk" else b"HTTP/1.1 201")
    again = await (await sender.send("begun")).answer()
    assert b"idempotent-replayed: true" in again.lower()
    assert await keys_of(asha, sessionmaker) == {"begun", *(f"stayed-{number}" for number in range(STAYED))}
    assert (await ravi.wallet())["balance"] == (STAYED + 1) * 100
    posted_late = await (await sender.send("left-0")).answer()
    assert b"idempotent-replayed" not in posted_late.lower()
    assert (await ravi.wallet())["balance"] == (STAYED + 2) * 100


async def test_questions_of_callers_who_left_are_not_asked(
    user_app: RunningApp, asha: Signed, ravi: Signed, sessionmaker: SessionMaker
) -> None:
    """And their requests go no further, nor take the server's other requests with them."""
    sender = await sender_of(asha, ravi, "shortcut")
    gather = user_app.app.state.resources.senders._gather

    async def until_there_wait(number: int) -> None:
        async def is_so() -> bool:
            return sum(not asked.answer.done() for asked in items_of(gather._waiting)) == number

        await eventually_async(is_so, f"{number} questions wait")

    async with lock_held(sessionmaker, "LOCK TABLE revoked_tokens IN ACCESS EXCLUSIVE MODE"):
        asked = await sender.send("asked")
        await until_a_lock_is_awaited(sessionmaker)
        left = await sender.send_all([f"left-{number}" for number in range(LEFT)])
        stayed = await sender.send("stayed")
        await until_there_wait(LEFT + 1)
        for call in left:
            call.leave(abruptly=False)
        await until_there_wait(1)
    for call in (asked, stayed):
        assert (await call.answer()).startswith(b"HTTP/1.1 201")
    assert await keys_of(asha, sessionmaker) == {"asked", "stayed"}
