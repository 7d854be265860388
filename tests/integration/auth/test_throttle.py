from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import bcrypt
import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.merchant_app.settings import MerchantAppSettings
from services.user_app.settings import UserAppSettings
from shared.config import RateLimits
from shared.redis.cool_down import CoolDown
from tests.support.auth_people import bearing, is_problem, log_in, new_email, running, sign_up
from tests.support.deadlines import deadline
from tests.support.redis_servers import RedisServer, redis_server_at
from tests.support.waiting import eventually_async

STRICT = RateLimits(login_per_email="3/15minutes", login_per_address="8/15minutes")
FEW_SIGN_UPS = RateLimits(sign_ups_per_address="3/hour")
WRONG = "wrong horse"


@asynccontextmanager
async def strict(settings: UserAppSettings, **other: object) -> AsyncIterator[httpx.AsyncClient]:
    # A Redis that is there is waited for, however busy the machine: what is counted in memory instead is told apart.
    update = {"rate_limits": STRICT, "redis_timeout_seconds": deadline(10), **other}
    async with running(settings.model_copy(update=update)) as client:
        yield client


async def codes(client: httpx.AsyncClient, email: str, passwords: list[str]) -> list[int]:
    return [(await log_in(client, email, password)).status_code for password in passwords]


@pytest.mark.usefixtures("redis")
async def test_repeated_failures_are_slowed_down_registered_or_not(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        known = (await sign_up(client))["user"]["email"]
        refused = []
        for email in (known, new_email()):
            assert await codes(client, email, [WRONG] * 3) == [401] * 3
            response = await log_in(client, email)
            is_problem(response, 429, "too_many_attempts")
            assert 1 <= int(response.headers["retry-after"]) <= 5 * 60 + 1, "a third of the window has one more attempt"
            refused.append({name: value for name, value in response.json().items() if name != "retry_after"})
        assert refused[0] == refused[1]


@pytest.mark.usefixtures("redis")
async def test_only_failures_count(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        email = (await sign_up(client))["user"]["email"]
        assert await codes(client, email, ["correct horse"] * 12) == [200] * 12
        assert await codes(client, email, [WRONG, "correct horse", WRONG, "correct horse"]) == [401, 200, 401, 200]


@pytest.mark.usefixtures("redis")
async def test_one_address_cannot_try_every_email(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        results = [(await log_in(client, new_email(), WRONG)).status_code for _ in range(10)]
    assert results == [401] * 8 + [429] * 2


@pytest.mark.usefixtures("redis")
async def test_a_forwarded_address_is_believed_of_trusted_proxies_only(user_settings: UserAppSettings) -> None:
    async def results(client: httpx.AsyncClient, prefix: str) -> list[int]:
        found = []
        for number in range(10):
            client.headers["X-Forwarded-For"] = f"{prefix}.{number}"
            found.append((await log_in(client, new_email(), WRONG)).status_code)
        return found

    async with strict(user_settings) as client:
        assert await results(client, "192.0.2") == [401] * 8 + [429] * 2
    async with strict(user_settings, trusted_proxies=[ip_network("127.0.0.0/8")]) as client:
        assert await results(client, "198.51.100") == [401] * 10


@pytest.mark.usefixtures("redis")
async def test_many_wrong_passwords_at_once_stay_within_the_limit(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        email = (await sign_up(client))["user"]["email"]
        responses = await asyncio.gather(*(log_in(client, email, WRONG) for _ in range(40)))
    counted = Counter(response.status_code for response in responses)
    assert counted.keys() == {401, 429}
    # Those being compared at the same moment cannot see one another's failure: no more than there are cores.
    assert 3 <= counted[401] < 3 + (os.cpu_count() or 1)


@pytest.mark.usefixtures("redis")
async def test_twenty_right_passwords_at_once_all_pass(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        email = (await sign_up(client))["user"]["email"]
        responses = await asyncio.gather(*(log_in(client, email) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}


async def test_failures_are_counted_in_memory_while_redis_is_away(user_settings: UserAppSettings) -> None:
    async with strict(user_settings, redis_url=SecretStr("redis://127.0.0.1:1/0")) as client:
        email = (await sign_up(client))["user"]["email"]
        assert await codes(client, email, [WRONG] * 4) == [401, 401, 401, 429]


async def test_throttling_can_be_turned_off(user_settings: UserAppSettings) -> None:
    off = RateLimits(enabled=False, login_per_email="1/15minutes")
    settings = user_settings.model_copy(update={"rate_limits": off})
    async with running(settings) as client:
        email = (await sign_up(client))["user"]["email"]
        assert await codes(client, email, [WRONG, WRONG, "correct horse"]) == [401, 401, 200]


@pytest.mark.usefixtures("redis")
async def test_an_unknown_email_costs_the_same_work(users: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    known = (await sign_up(users))["user"]["email"]
    worked: list[bytes] = []
    check = bcrypt.checkpw

    def counting(password: bytes, hashed: bytes) -> bool:
        worked.append(hashed[:7])
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counting)
    costs = []
    for email in (known, new_email()):
        worked.clear()
        is_problem(await log_in(users, email, WRONG), 401, "bad_credentials")
        costs.append(list(worked))
    assert costs[0] == costs[1] == [b"$2b$04$"]


@pytest.mark.usefixtures("redis")
async def test_the_current_password_is_throttled_for_its_session_alone(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        answer = await sign_up(client)
        body = {"current_password": WRONG, "new_pin": "8256"}
        for _ in range(3):
            response = await client.patch("/users/me", json=body, headers=bearing(answer["token"]))
            is_problem(response, 403, "current_password_incorrect")
        response = await client.patch("/users/me", json=body, headers=bearing(answer["token"]))
        is_problem(response, 429, "too_many_attempts")
        signed_in = await log_in(client, answer["user"]["email"])
        body |= {"current_password": "correct horse"}
        changed = await client.patch("/users/me", json=body, headers=bearing(signed_in.json()["token"]))
        assert changed.status_code == 200


@pytest.mark.usefixtures("redis")
async def test_what_strangers_try_does_not_keep_the_owner_out(user_settings: UserAppSettings) -> None:
    async with strict(user_settings, trusted_proxies=[ip_network("127.0.0.0/8")]) as client:
        answer = await sign_up(client)
        email, device = answer["user"]["email"], (await log_in(client, answer["user"]["email"])).cookies["known_device"]
        assert await codes(client, email, [WRONG] * 4) == [401, 401, 401, 429]
        is_problem(await log_in(client, email), 429, "too_many_attempts")

        client.headers["Cookie"] = f"known_device={device}"
        assert await codes(client, email, ["correct horse", WRONG, WRONG]) == [200, 401, 401], "a device that is known"
        is_problem(await log_in(client, new_email(), WRONG), 401, "bad_credentials")
        other = (await sign_up(client))["user"]["email"]
        assert await codes(client, other, [WRONG] * 4) == [401, 401, 401, 429], "it is known as one owner's"

        del client.headers["Cookie"]
        body = {"current_password": "correct horse", "new_pin": "8256"}
        changed = await client.patch("/users/me", json=body, headers=bearing(answer["token"]))
        assert changed.status_code == 200, "an owner who is signed in"
        client.headers["X-Forwarded-For"] = "192.0.2.7"
        assert await codes(client, email, ["correct horse"]) == [200], "from elsewhere"


@pytest.mark.usefixtures("redis")
async def test_a_known_device_has_a_count_of_its_own(user_settings: UserAppSettings) -> None:
    async with strict(user_settings) as client:
        email = (await sign_up(client))["user"]["email"]
        client.headers["Cookie"] = f"known_device={(await log_in(client, email)).cookies['known_device']}"
        assert await codes(client, email, [WRONG] * 4) == [401, 401, 401, 429]
        del client.headers["Cookie"]
        assert await codes(client, email, ["correct horse"]) == [200]


@pytest.fixture
def redis_server(tmp_path: Path, free_port_base: Callable[[], int]) -> Iterator[RedisServer]:
    with redis_server_at(tmp_path, free_port_base()) as server:
        yield server


async def test_sign_in_goes_on_while_redis_dies_and_comes_back(
    user_settings: UserAppSettings, redis_server: RedisServer
) -> None:
    redis_server.start()
    async with strict(user_settings, redis_url=SecretStr(redis_server.url)) as client:
        email = (await sign_up(client))["user"]["email"]
        assert await codes(client, email, [WRONG, "correct horse"]) == [401, 200]
        redis_server.stop()
        assert await codes(client, email, ["correct horse", WRONG]) == [200, 401]
        redis_server.start()

        async def is_ready() -> bool:
            return "failed" not in (await client.get("http://batua.test/readyz")).text

        await eventually_async(is_ready, "the app uses Redis again")
        assert await codes(client, email, ["correct horse"]) == [200]


@pytest.mark.parametrize("how", [("REPLICAOF", "127.0.0.1", "1"), ("CONFIG", "SET", "maxmemory", "1")])
async def test_failures_are_counted_although_redis_only_answers_reads(
    user_settings: UserAppSettings, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, how: tuple[str, ...]
) -> None:
    monkeypatch.setattr(CoolDown, "is_over", True)  # as between attempts that are a second apart
    redis_server.start()
    url = redis_server.url
    async with strict(user_settings, redis_url=SecretStr(url)) as client, Redis.from_url(url) as redis:
        email = (await sign_up(client))["user"]["email"]
        await redis.execute_command(*how)  # type: ignore[no-untyped-call]
        assert await codes(client, email, [WRONG] * 4) == [401, 401, 401, 429]
        ready = await client.get("http://batua.test/readyz")
        assert (ready.status_code, ready.json()["checks"]["redis"]) == (200, "failed")


async def test_while_redis_is_away_few_requests_wait_for_it(
    user_settings: UserAppSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    url = SecretStr(f"redis://127.0.0.1:{port}/0")
    async with silent, strict(user_settings, redis_url=url, redis_timeout_seconds=0.2) as client:
        email = (await sign_up(client))["user"]["email"]
        caplog.clear()
        started = time.monotonic()
        assert await codes(client, email, ["correct horse"] * 5) == [200] * 5
        assert caplog.text.count("Redis does not count") <= 1 + int(time.monotonic() - started)


async def sign_ups(client: httpx.AsyncClient, count: int, **other: str) -> list[httpx.Response]:
    body = {"email": "", "password": "correct horse", "pin": "4812", **other}
    found = []
    for _ in range(count):
        found.append(await client.post("/auth/register", json=body | {"email": new_email()}))
        client.cookies.clear()
    return found


@pytest.mark.usefixtures("redis")
async def test_sign_ups_of_one_address_are_limited_before_any_hash(
    user_settings: UserAppSettings, merchant_settings: MerchantAppSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[bytes] = []
    hash_of = bcrypt.hashpw

    def watched(password: bytes, salt: bytes) -> bytes:
        worked.append(password)
        return hash_of(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", watched)
    few = {"rate_limits": FEW_SIGN_UPS}
    people, shop = {"first_name": "Alice", "last_name": "Rao"}, {"business_name": "Chai Point"}
    for settings, names in (
        (user_settings.model_copy(update=few), people),
        (merchant_settings.model_copy(update=few), shop),
    ):
        async with running(settings) as client:
            *let_in, refused = await sign_ups(client, 4, **names)
            assert [response.status_code for response in let_in] == [201] * 3
            hashes = len(worked)
            is_problem(refused, 429, "too_many_sign_ups")
            assert 59 * 60 < int(refused.headers["retry-after"]) <= 60 * 60 + 1
            assert len(worked) == hashes
            # The form of the page is the same door.
            page = await client.post(
                "http://batua.test/sign-up",
                data={"email": new_email(), "password": "correct horse", "pin": "4812", **names},
                headers={"Origin": "http://batua.test", "Accept": "text/html"},
            )
            assert page.headers["location"] == "/sign-up?form=guest_form"


@pytest.mark.usefixtures("redis")
async def test_sign_ups_are_counted_per_ipv4_address_and_per_ipv6_network(
    user_settings: UserAppSettings,
) -> None:
    update = {"rate_limits": FEW_SIGN_UPS, "trusted_proxies": [ip_network("127.0.0.0/8")]}
    async with running(user_settings.model_copy(update=update)) as client:
        found = {}
        for address in (
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::ffff:3",
            "2001:db8::4",
            "2001:db8:0:1::1",
            "192.0.2.9",
        ):
            client.headers["X-Forwarded-For"] = address
            [response] = await sign_ups(client, 1, first_name="Alice", last_name="Rao")
            found[address] = response.status_code
    assert list(found.values()) == [201, 201, 201, 429, 201, 201]
