"""Of one network address, requests begin one after the other while others ask, and no one is refused for it."""

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
from starlette.types import Message

from services.user_app.settings import UserAppSettings
from shared.callers import CallerLeft
from shared.config import RateLimits
from shared.http import fair_share, middleware
from shared.http.fair_share import SharedRequest
from tests.support.apps import API, RunningApp, running, user_app_settings
from tests.support.deadlines import deadline
from tests.support.fair_share import networks_asked

DELAY_SECONDS = 0.5
"""How late each refusal is: the requests here last as long."""
OTHER = "198.51.100.9"
_unlike = count(500)
"""No two apps have equal settings: one that serves a second test remembers whom it served in the first."""


def _settings(database_url: str, redis_url: str, **more: Any) -> UserAppSettings:
    return user_app_settings(
        database_url,
        redis_url,
        refusal_delay_seconds=DELAY_SECONDS,
        rate_limits=RateLimits(login_per_email="1/15minutes"),
        redis_timeout_seconds=deadline(10),
        connections_per_address=next(_unlike),
        forwarded_header="x-forwarded-for",
        **more,
    )


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    """Behind a proxy that tells for whom it asks."""
    async with running(_settings(database_url, redis_url, trusted_proxies=[ip_network("127.0.0.0/8")])) as app:
        yield app


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is taken to cost so much that the next one begins when it has ended."""
    for name in ("EXPECTED_SECONDS", "RECENT_SECONDS", "LONGEST_REST_SECONDS"):
        monkeypatch.setattr(fair_share, name, deadline(600))


async def sign_in(app: RunningApp, address: str) -> httpx.Response:
    body = {"email": "asha@example.com", "password": "wrong horse"}
    return await app.client.post(f"{API}/auth/login", json=body, headers={"X-Forwarded-For": address})


async def seconds_of_three(app: RunningApp, address: str) -> float:
    began = time.monotonic()
    answers = await asyncio.gather(*(sign_in(app, address) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [429] * 3
    return time.monotonic() - began


@pytest.mark.usefixtures("one_at_a_time")
async def test_while_another_asks_the_requests_of_an_address_begin_one_after_the_other(user_app: RunningApp) -> None:
    assert (await sign_in(user_app, "198.51.100.7")).status_code == 401
    assert (await user_app.client.get("/healthz", headers={"X-Forwarded-For": OTHER})).status_code == 200
    assert await seconds_of_three(user_app, "198.51.100.7") >= 3 * DELAY_SECONDS


@pytest.mark.usefixtures("one_at_a_time")
async def test_who_asks_alone_is_served_at_once(user_app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once: list[int] = []
    under_way = 0

    async def wait(self: SharedRequest) -> None:
        nonlocal under_way
        await wait_for_turn(self)
        under_way += 1
        at_once.append(under_way)

    def end(self: SharedRequest) -> None:
        nonlocal under_way
        under_way -= self._unused_seconds > 0
        end_request(self)

    wait_for_turn, end_request = SharedRequest.wait_for_turn, SharedRequest.end
    monkeypatch.setattr(SharedRequest, "wait_for_turn", wait)
    monkeypatch.setattr(SharedRequest, "end", end)
    assert (await sign_in(user_app, "198.51.100.7")).status_code == 401
    await seconds_of_three(user_app, "198.51.100.7")
    assert max(at_once) == 3


async def test_a_request_has_a_turn_and_another_when_its_body_is_whole(
    user_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[SharedRequest] = []

    async def wait(self: SharedRequest) -> None:
        waited.append(self)

    monkeypatch.setattr(SharedRequest, "wait_for_turn", wait)
    await user_app.client.get("/healthz")
    assert len(waited) == 1
    await sign_in(user_app, "198.51.100.7")
    assert len(waited) == 1 + 2


async def test_who_hangs_up_while_the_body_waits_is_no_failure(
    user_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page's form is read by a dependency, which knows no word for it."""
    turns = count()
    statuses: list[int] = []

    async def wait(_: SharedRequest) -> None:
        if next(turns):
            raise CallerLeft

    async def receive() -> Message:
        return {"type": "http.request", "body": b"email=a"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    monkeypatch.setattr(SharedRequest, "wait_for_turn", wait)
    monkeypatch.setattr(middleware, "log_request", lambda **said: statuses.append(said["status"]))
    headers = [
        (b"host", b"test"),
        (b"sec-fetch-site", b"same-origin"),
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-length", b"7"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/sign-in", "raw_path": b"/sign-in", "query_string": b""}
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "root_path": ""}
    await user_app.app(scope, receive, send)
    assert statuses == [499]


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize(
    ("forwarded", "network"),
    [("198.51.100.7", "198.51.100.7"), ("2001:db8::7", "2001:db8::/64"), (None, None), ("unknown", None)],
)
async def test_who_is_not_told_by_a_trusted_proxy_has_no_share(
    user_app: RunningApp, monkeypatch: pytest.MonkeyPatch, forwarded: str | None, network: str | None
) -> None:
    asked = networks_asked(monkeypatch)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    for _ in range(2):
        await user_app.client.get("/healthz", headers=headers)
    assert asked == [network] * 2
