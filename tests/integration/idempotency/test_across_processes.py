"""Copies of a request that reach several processes of a service: one moves money, all others get its answer or 409."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from tests.support.apps import PIN, RunningApp, Signed, problem, running, user_app_settings


@pytest.fixture
async def second_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """Another process of user_app, as far as marks, connections and batches go."""
    async with running(user_app_settings(database_url, redis_url)) as app:
        yield app


Ask = Callable[[Signed, Signed], Awaitable[httpx.Response]]


async def transfer(payer: Signed, payee: Signed, **changed: Any) -> httpx.Response:
    return await payer.send(payee.wallet_id, **{"amount": 100, "key": "k", **changed})


async def bulk(payer: Signed, payee: Signed) -> httpx.Response:
    items = [{"to": payee.wallet_id, "amount": 50}, {"to": payee.wallet_id, "amount": 50}]
    return await payer.post("/transfers/bulk", key="k", items=items, pin=PIN)


@pytest.mark.parametrize("ask", [transfer, bulk])
async def test_copies_in_two_processes_move_money_once(
    asha: Signed, ravi: Signed, second_app: RunningApp, ask: Ask
) -> None:
    elsewhere = replace(asha, client=second_app.client)
    copies = await asyncio.gather(*[ask(asha if number % 2 else elsewhere, ravi) for number in range(12)])
    answered = [copy for copy in copies if copy.status_code != 409]
    for copy in copies:
        if copy.status_code == 409:
            assert problem(copy, 409, "request_in_flight")
            assert copy.headers["retry-after"] == "1"
    firsts = [copy for copy in answered if "idempotent-replayed" not in copy.headers]
    assert len(firsts) == 1
    assert all(copy.json() == firsts[0].json() for copy in answered)
    assert (await ravi.wallet())["balance"] == 100

    later = await asyncio.gather(*[ask(asha if number % 2 else elsewhere, ravi) for number in range(12)])
    finished = [copy for copy in later if copy.status_code != 409]
    assert len(finished) == len(later), "a request that is finished is no longer in flight"
    assert all(copy.json() == firsts[0].json() for copy in later)
    assert (await ravi.wallet())["balance"] == 100


async def test_a_key_with_another_body_elsewhere_is_an_error(
    asha: Signed, ravi: Signed, second_app: RunningApp
) -> None:
    elsewhere = replace(asha, client=second_app.client)
    answers = await asyncio.gather(transfer(asha, ravi), transfer(elsewhere, ravi, amount=200))
    moved = [answer for answer in answers if answer.status_code == 201]
    assert len(moved) == 1
    assert {answer.status_code for answer in answers} <= {201, 409, 422}
    loser = 200 if moved[0].json()["amount"] == 100 else 100
    problem(await transfer(elsewhere, ravi, amount=loser), 422, "idempotency_key_reused")
    assert (await ravi.wallet())["balance"] == moved[0].json()["amount"]
