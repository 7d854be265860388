"""What was committed before a request arrives holds for it: a sign-out, a new password, a locked PIN, a new PIN."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import update

from shared import clock
from shared.auth import commands, pins
from shared.auth.errors import PinIncorrect
from shared.auth.tokens import Identity
from shared.models import Owner
from shared.runtime.resources import Resources
from tests.support.apps import PIN, RunningApp, Signed, problem
from tests.support.deadlines import deadline

WRONG = "8642"

Change = Callable[[Resources, Identity], Awaitable[None]]
Request = Callable[[Signed, Signed, str], Coroutine[Any, Any, httpx.Response]]


async def sign_out(resources: Resources, caller: Identity) -> None:
    await commands.sign_out(resources.sessionmaker, identity=caller, address="192.0.2.1")


async def change_password_elsewhere(resources: Resources, caller: Identity) -> None:
    await _set(resources, caller, tokens_valid_after=clock.now())


async def lock_pin(resources: Resources, caller: Identity) -> None:
    settings = resources.settings
    for _ in range(settings.pin_attempts):
        with suppress(PinIncorrect):
            await pins.check(
                resources.sessionmaker,
                resources.reads,
                hasher=resources.hasher,
                settings=settings,
                owner_id=caller.owner_id,
                pin=WRONG,
            )


async def change_pin(resources: Resources, caller: Identity) -> None:
    await _set(resources, caller, pin_hash=await resources.hasher.hash_pin(WRONG))


async def _set(resources: Resources, caller: Identity, **values: Any) -> None:
    async with resources.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == caller.owner_id).values(values))


async def read_wallet(person: Signed, _: Signed, __: str) -> httpx.Response:
    return await person.get("/wallet")


async def send_money(person: Signed, to: Signed, pin_token: str) -> httpx.Response:
    headers = {"X-Pin-Token": pin_token}
    return await person.post("/transfers", headers=headers, to=to.wallet_id, amount=100)


async def send_to_many(person: Signed, to: Signed, pin_token: str) -> httpx.Response:
    items = [{"to": to.wallet_id, "amount": 100}]
    return await person.post("/transfers/bulk", headers={"X-Pin-Token": pin_token}, items=items)


@dataclass(frozen=True)
class Case:
    """A request, what happens a moment before it, and how it is refused then."""

    request: Request
    change: Change
    status: int
    code: str


SESSION_ENDS = [(sign_out, 401, "token_revoked"), (change_password_elsewhere, 401, "token_revoked")]
PIN_ENDS = [(lock_pin, 423, "pin_locked"), (change_pin, 403, "pin_token_invalid")]
CASES = [
    pytest.param(Case(request, *end), id=f"{request.__name__}-{end[0].__name__}")
    for request, ends in (
        (read_wallet, SESSION_ENDS),
        (send_money, SESSION_ENDS + PIN_ENDS),
        (send_to_many, SESSION_ENDS + PIN_ENDS),
    )
    for end in ends
]


async def caller_and_pin_token(resources: Resources, person: Signed) -> tuple[Identity, str]:
    caller = (await resources.sessions.check(person.token)).identity
    return caller, (await person.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"]


class Held:
    """Keeps the answer to the first statement of a process until `go`, as a slow network would."""

    def __init__(self, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_answer = asyncio.Event()
        self.go = asyncio.Event()
        self._gathers = (resources.sessions._gather, resources.senders._gather)
        for each in self._gathers:
            monkeypatch.setattr(each, "_ask_all", self._around(each._ask_all))

    async def until_another_waits(self) -> None:
        while not any(each._waiting for each in self._gathers):
            await asyncio.sleep(0.01)

    def _around(self, ask_all: Callable[..., Awaitable[Sequence[Any]]]) -> Callable[..., Awaitable[Sequence[Any]]]:
        async def held(connection: asyncpg.Connection, questions: Sequence[Any]) -> Sequence[Any]:
            answers = await ask_all(connection, questions)
            if not self.has_answer.is_set():
                self.has_answer.set()
                await self.go.wait()
            return answers

        return held


@pytest.mark.parametrize("case", CASES)
async def test_a_change_between_two_requests_holds_for_the_second(
    user_app: RunningApp, asha: Signed, ravi: Signed, case: Case
) -> None:
    resources: Resources = user_app.app.state.resources
    caller, pin_token = await caller_and_pin_token(resources, asha)
    assert (await case.request(asha, ravi, pin_token)).is_success
    before = await ravi.wallet()
    await case.change(resources, caller)
    problem(await case.request(asha, ravi, pin_token), case.status, case.code)
    assert await ravi.wallet() == before


@pytest.mark.parametrize("case", CASES)
async def test_a_change_while_a_statement_is_in_flight_holds_for_the_next_request(
    user_app: RunningApp, asha: Signed, ravi: Signed, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources: Resources = user_app.app.state.resources
    caller, pin_token = await caller_and_pin_token(resources, asha)
    held = Held(resources, monkeypatch)
    async with asyncio.timeout(deadline()):
        first = asyncio.create_task(case.request(asha, ravi, pin_token))
        await held.has_answer.wait()
        await case.change(resources, caller)
        second = asyncio.create_task(case.request(asha, ravi, pin_token))
        await held.until_another_waits()
        held.go.set()
        problem(await second, case.status, case.code)
        await first
