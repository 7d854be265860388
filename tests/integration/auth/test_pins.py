from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from services.user_app.settings import UserAppSettings
from shared import clock
from shared.auth import pins
from shared.auth.errors import PinIncorrect, PinTokenInvalid
from shared.auth.passwords import Hasher, HashingCore
from shared.auth.sessions import Sessions
from shared.auth.tokens import Tokens
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.models import Owner, PinFailure
from tests.support.auth_people import PASSWORD, PIN, bearing, is_problem, log_in, running, sign_up

WRONG = "9999"


async def enter(client: httpx.AsyncClient, token: str, pin: str) -> httpx.Response:
    return await client.post("/auth/pin", json={"pin": pin}, headers=bearing(token))


async def failures_of(sessionmaker: SessionMaker, answer: dict[str, Any]) -> int:
    async with sessionmaker() as session:
        statement = select(func.count()).where(PinFailure.owner_id == UUID(answer["user"]["id"]))
        return int(await session.scalar(statement) or 0)


async def test_five_wrong_pins_lock_even_the_right_one(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    present = clock.now()
    with clock.reading(lambda: present):
        for left in (4, 3, 2, 1, 0):
            response = await enter(users, answer["token"], WRONG)
            is_problem(response, 403, "pin_incorrect")
            assert response.json()["attempts_left"] == left
        locked_until = datetime.fromisoformat(response.json()["locked_until"])
        for pin in (WRONG, PIN):
            response = await enter(users, answer["token"], pin)
            is_problem(response, 423, "pin_locked")
            opens = datetime.fromisoformat(response.json()["locked_until"])
            assert timedelta(minutes=14) < opens - clock.now() <= timedelta(minutes=15)
            assert opens == locked_until
            assert 14 * 60 < int(response.headers["retry-after"]) <= 15 * 60


async def test_a_lock_concerns_one_owner_in_every_session(users: httpx.AsyncClient) -> None:
    alice, bob = await sign_up(users), await sign_up(users)
    for _ in range(5):
        await enter(users, alice["token"], WRONG)
    elsewhere = (await log_in(users, alice["user"]["email"])).json()["token"]
    is_problem(await enter(users, elsewhere, PIN), 423, "pin_locked")
    assert (await enter(users, bob["token"], PIN)).status_code == 200


async def test_the_lock_opens_when_the_first_failure_is_fifteen_minutes_old(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    start = datetime.now(UTC)
    for minute in range(5):
        with clock.reading(partial(start.__add__, timedelta(minutes=minute))):
            is_problem(await enter(users, answer["token"], WRONG), 403, "pin_incorrect")
    with clock.reading(lambda: start + timedelta(minutes=15, seconds=-1)):
        is_problem(await enter(users, answer["token"], PIN), 423, "pin_locked")
    with clock.reading(lambda: start + timedelta(minutes=15)):
        assert (await enter(users, answer["token"], PIN)).status_code == 200
        assert (await enter(users, answer["token"], WRONG)).json()["attempts_left"] == 0
        is_problem(await enter(users, answer["token"], PIN), 423, "pin_locked")


async def test_a_right_pin_does_not_reset_the_count(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    for _ in range(4):
        await enter(users, answer["token"], WRONG)
    assert (await enter(users, answer["token"], PIN)).status_code == 200
    assert (await enter(users, answer["token"], WRONG)).json()["attempts_left"] == 0
    is_problem(await enter(users, answer["token"], PIN), 423, "pin_locked")


async def test_of_many_guesses_at_once_only_five_are_answered(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    answer = await sign_up(users)
    responses = await asyncio.gather(*(enter(users, answer["token"], WRONG) for _ in range(30)))
    assert Counter(response.json()["code"] for response in responses) == {"pin_incorrect": 5, "pin_locked": 25}
    left = sorted(response.json()["attempts_left"] for response in responses if response.status_code == 403)
    assert left == [0, 1, 2, 3, 4]
    assert await failures_of(sessionmaker, answer) == 5


async def test_pins_that_waited_for_a_core_are_not_compared_once_locked(
    users: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await sign_up(users)
    compared = 0

    async def counting(core: HashingCore, password: str, password_hash: str | None) -> bool:
        nonlocal compared
        compared += 1
        return await compare(core, password, password_hash)

    compare = HashingCore.compare
    monkeypatch.setattr(HashingCore, "compare", counting)
    await asyncio.gather(*(enter(users, answer["token"], WRONG) for _ in range(40)))
    assert 5 <= compared <= 5 + (os.cpu_count() or 1)


async def test_twenty_right_pins_at_once_all_pass(users: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    answer = await sign_up(users)
    responses = await asyncio.gather(*(enter(users, answer["token"], PIN) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert await failures_of(sessionmaker, answer) == 0


async def test_a_failure_is_kept_although_the_request_is_refused(
    users: httpx.AsyncClient, user_settings: UserAppSettings, sessionmaker: SessionMaker
) -> None:
    answer = await sign_up(users)
    hasher = Hasher(user_settings)
    with pytest.raises(PinIncorrect):
        async with in_a_transaction(sessionmaker):
            await pins.check(
                sessionmaker,
                Reads(sessionmaker.kw["bind"]),
                hasher=hasher,
                settings=user_settings,
                owner_id=UUID(answer["user"]["id"]),
                pin=WRONG,
            )
    hasher.close()
    assert await failures_of(sessionmaker, answer) == 1


@asynccontextmanager
async def in_a_transaction(sessionmaker: SessionMaker) -> AsyncIterator[AsyncSession]:
    async with sessionmaker.begin() as session:
        yield session


async def test_the_lockout_needs_no_redis(user_settings: UserAppSettings) -> None:
    away = user_settings.model_copy(update={"redis_url": type(user_settings.redis_url)("redis://127.0.0.1:1/0")})
    async with running(away) as client:
        answer = await sign_up(client)
        codes = [(await enter(client, answer["token"], WRONG)).json()["code"] for _ in range(6)]
    assert codes == ["pin_incorrect"] * 5 + ["pin_locked"]


@pytest.mark.parametrize("pin", ["12", "1234567", "abcd", 1234, None, ""])
async def test_what_cannot_be_a_pin_is_not_counted(
    users: httpx.AsyncClient, sessionmaker: SessionMaker, pin: object
) -> None:
    answer = await sign_up(users)
    response = await users.post("/auth/pin", json={"pin": pin}, headers=bearing(answer["token"]))
    is_problem(response, 422, "invalid_request")
    assert await failures_of(sessionmaker, answer) == 0


async def test_a_pin_token_stands_for_the_pin_in_its_own_session_for_five_minutes(
    users: httpx.AsyncClient, user_settings: UserAppSettings, engine: AsyncEngine, sessionmaker: SessionMaker
) -> None:
    answer, other = await sign_up(users), await sign_up(users)
    elsewhere = (await log_in(users, answer["user"]["email"])).json()["token"]
    entered_at = clock.now()
    with clock.reading(lambda: entered_at):
        entered = (await enter(users, answer["token"], PIN)).json()
    tokens = Tokens(user_settings, "user_app")
    sessions = Sessions(engine, tokens)
    here, there, stranger = [
        (await sessions.check(token)).identity for token in (answer["token"], elsewhere, other["token"])
    ]
    async with sessionmaker() as session:
        pin_hash = (await session.get_one(Owner, here.owner_id)).pin_hash
    tokens.verify_pin_token(entered["pin_token"], here, pin_hash)
    for identity in (there, stranger):
        with pytest.raises(PinTokenInvalid):
            tokens.verify_pin_token(entered["pin_token"], identity, pin_hash)
    for not_a_pin_token in (answer["token"], "x", "é"):
        with pytest.raises(PinTokenInvalid):
            tokens.verify_pin_token(not_a_pin_token, here, pin_hash)
    ends = datetime.fromisoformat(entered["expires_at"])
    assert timedelta(minutes=4, seconds=50) < ends - entered_at <= timedelta(minutes=5)
    with clock.reading(lambda: ends), pytest.raises(PinTokenInvalid):
        tokens.verify_pin_token(entered["pin_token"], here, pin_hash)


async def test_a_pin_token_is_no_session_token(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    pin_token = (await enter(users, answer["token"], PIN)).json()["pin_token"]
    is_problem(await users.get("/users/me", headers=bearing(pin_token)), 401, "token_invalid")


async def test_a_transfer_takes_the_pin_or_its_token_or_neither(users: httpx.AsyncClient) -> None:
    alice, bob = await sign_up(users), await sign_up(users)
    body = {"to": bob["user"]["wallet_id"], "amount": 100}
    headers = bearing(alice["token"]) | {"Idempotency-Key": "one"}
    missing = await users.post("/transfers", json=body, headers=headers)
    is_problem(missing, 422, "invalid_request")
    assert missing.json()["errors"][0]["field"] == "pin"
    is_problem(await users.post("/transfers", json=body | {"pin": WRONG}, headers=headers), 403, "pin_incorrect")
    bad = headers | {"X-Pin-Token": "x"}
    is_problem(await users.post("/transfers", json=body | {"pin": PIN}, headers=bad), 403, "pin_token_invalid")
    good = headers | {"X-Pin-Token": (await enter(users, alice["token"], PIN)).json()["pin_token"]}
    for sent in (users.post("/transfers", json=body, headers=good),):
        is_problem(await sent, 402, "insufficient_funds")
    is_problem(await users.post("/transfers", json=body | {"pin": PIN}, headers=headers), 402, "insufficient_funds")


async def pay_with_token(users: httpx.AsyncClient, session_token: str, to: str, pin_token: str) -> httpx.Response:
    headers = bearing(session_token) | {"Idempotency-Key": "token", "X-Pin-Token": pin_token}
    return await users.post("/transfers", json={"to": to, "amount": 100}, headers=headers)


async def test_a_pin_token_ends_with_the_pin_it_stands_for(users: httpx.AsyncClient) -> None:
    alice, bob = await sign_up(users), await sign_up(users)
    to = bob["user"]["wallet_id"]
    old = (await enter(users, alice["token"], PIN)).json()["pin_token"]
    change = {"current_password": PASSWORD, "new_pin": "8256"}
    assert (await users.patch("/users/me", json=change, headers=bearing(alice["token"]))).status_code == 200
    is_problem(await pay_with_token(users, alice["token"], to, old), 403, "pin_token_invalid")
    new = (await enter(users, alice["token"], "8256")).json()["pin_token"]
    is_problem(await pay_with_token(users, alice["token"], to, new), 402, "insufficient_funds")


async def test_a_locked_pin_locks_its_tokens_too(users: httpx.AsyncClient) -> None:
    alice, bob = await sign_up(users), await sign_up(users)
    token = (await enter(users, alice["token"], PIN)).json()["pin_token"]
    for _ in range(5):
        await enter(users, alice["token"], WRONG)
    is_problem(await pay_with_token(users, alice["token"], bob["user"]["wallet_id"], token), 423, "pin_locked")
