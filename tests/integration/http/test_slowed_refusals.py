"""A refusal of one request too many comes late, from the API and from pages, and a bounded number of them wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.config import RateLimits
from shared.http import slowed_refusals
from shared.http.slowed_refusals import SlowedRefusals
from shared.owner_quotas import OwnerQuotas
from tests.support.apps import RunningApp, problem, running, user_app_settings
from tests.support.deadlines import deadline
from tests.support.page_requests import send_form

DELAY_SECONDS = 0.5


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    settings = user_app_settings(
        database_url,
        redis_url,
        refusal_delay_seconds=DELAY_SECONDS,
        quotas=OwnerQuotas(keys_per_day=1),
        rate_limits=RateLimits(login_per_email="1/15minutes"),
        redis_timeout_seconds=deadline(10),
    )
    async with running(settings) as app:
        yield app


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
