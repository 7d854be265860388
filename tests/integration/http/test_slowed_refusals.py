"""A refusal of one request too many comes late, from the API and from pages, and a bounded number of them wait.

The next requests of an address that was refused without a session begin at a pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from itertools import count
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from services.user_app.settings import UserAppSettings
from shared.config import RateLimits
from shared.http import paced_addresses, slowed_refusals
from shared.http.paced_addresses import Asked, PacedAddresses
from shared.http.slowed_refusals import SlowedRefusals
from shared.owner_quotas import OwnerQuotas
from tests.support.apps import API, RunningApp, problem, running, user_app_settings
from tests.support.deadlines import deadline
from tests.support.page_requests import send_form

DELAY_SECONDS = 0.5
_unlike = count(500)
"""No two apps have equal settings: one that serves a second test remembers whom it refused in the first."""


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    async with running(_settings(database_url, redis_url)) as app:
        yield app


def _settings(database_url: str, redis_url: str, **more: Any) -> UserAppSettings:
    return user_app_settings(
        database_url,
        redis_url,
        refusal_delay_seconds=DELAY_SECONDS,
        quotas=OwnerQuotas(keys_per_day=1),
        rate_limits=RateLimits(login_per_email="1/15minutes"),
        redis_timeout_seconds=deadline(10),
        connections_per_address=next(_unlike),
        **more,
    )


async def test_the_api_refuses_late(user_app: RunningApp) -> None:
    asha, ravi = await user_app.person("Asha", balance=10_00), await user_app.person("Ravi")
    assert (await asha.send(ravi.wallet_id, 1_00)).status_code == 201
    began = time.monotonic()
    problem(await asha.send(ravi.wallet_id, 1_00), 429, "too_many_keys")
    assert time.monotonic() - began >= DELAY_SECONDS


async def test_a_form_that_is_led_back_for_it_is_late_too(user_app: RunningApp) -> None:
    for _ in range(2):
        began = time.monotonic()
        answer = await send_form(user_app, "/sign-in", email="asha@example.com", password="wrong horse")
        assert answer.status_code == 303
    assert time.monotonic() - began >= DELAY_SECONDS


async def test_one_refusal_more_than_may_wait_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowed_refusals, "MOST_AT_ONCE", 1)
    refusals = SlowedRefusals(deadline(60))
    waiting = asyncio.create_task(refusals.wait())
    await asyncio.sleep(0)
    await asyncio.wait_for(refusals.wait(), deadline(10))
    assert not waiting.done()
    waiting.cancel()


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds from one request to the next."""
    monkeypatch.setattr(paced_addresses, "PACE", 2)
    monkeypatch.setattr(paced_addresses, "REMEMBERED_SECONDS", deadline(600))
    return 2 * DELAY_SECONDS


async def refuse_sign_in(user_app: RunningApp) -> None:
    for status in (401, 429):
        assert (await sign_in(user_app)).status_code == status


async def sign_in(user_app: RunningApp) -> httpx.Response:
    body = {"email": "asha@example.com", "password": "wrong horse"}
    return await user_app.client.post(f"{API}/auth/login", json=body)


async def test_after_a_refused_sign_in_the_next_ones_begin_at_a_pace(pace: float, user_app: RunningApp) -> None:
    await refuse_sign_in(user_app)
    began = time.monotonic()
    answers = await asyncio.gather(*(sign_in(user_app) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [429] * 3
    assert time.monotonic() - began >= 2 * pace


@pytest.mark.usefixtures("pace")
async def test_pages_are_paced_as_the_api_is(user_app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Asked] = []

    async def wait(_: PacedAddresses, asked: Asked) -> None:
        waited.append(asked)

    monkeypatch.setattr(PacedAddresses, "wait", wait)
    for status in (303, 303):
        page = await send_form(user_app, "/sign-in", email="asha@example.com", password="wrong horse")
        assert page.status_code == status
    assert waited == []
    await send_form(user_app, "/sign-in", email="asha@example.com", password="wrong horse")
    await user_app.person("Ravi")
    assert [(asked.method, asked.path) for asked in waited[:2]] == [
        ("POST", "/sign-in"),
        ("POST", f"{API}/auth/register"),
    ]
    assert len({asked.network for asked in waited}) == 1


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize(("forwarded", "network"), [("198.51.100.7", "198.51.100.7"), (None, None), ("unknown", None)])
async def test_who_is_not_told_by_a_trusted_proxy_is_not_paced(
    database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch, forwarded: str | None, network: str | None
) -> None:
    paced: list[str] = []
    monkeypatch.setattr(PacedAddresses, "slow_down", lambda _self, asked: paced.append(asked.network))
    settings = _settings(database_url, redis_url, trusted_proxies=[ip_network("127.0.0.0/8")])
    async with running(settings) as app:
        if forwarded is not None:
            app.client.headers["X-Forwarded-For"] = forwarded
        await refuse_sign_in(app)
    assert paced == ([] if network is None else [network])


async def test_an_owner_who_is_refused_slows_down_no_one_at_the_address(
    user_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced: list[str] = []
    monkeypatch.setattr(PacedAddresses, "slow_down", lambda _self, asked: paced.append(asked.path))
    asha, ravi = await user_app.person("Asha", balance=10_00), await user_app.person("Ravi")
    assert (await asha.send(ravi.wallet_id, 1_00)).status_code == 201
    problem(await asha.send(ravi.wallet_id, 1_00), 429, "too_many_keys")
    assert paced == []
    await refuse_sign_in(user_app)
    assert paced == ["/api/v1/auth/login"]
