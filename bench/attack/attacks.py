"""What an attacker with one account and one network address does, each for as long as it is let.

An attack answers how often it was told what: HTTP statuses, or how its connections ended.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from infra.demo.actors import NO_TLS, PIN
from shared.banks.table import BANKS
from shared.ids import new_token

TIMEOUT_SECONDS = 60.0
PIN_CHECKS = 150
WRONG_PASSWORDS = 60
HALF_OPEN = 2100
TINY_TRANSFERS = 1000
TINY_AT_ONCE = 20
STREAMS = 50
WITHDRAWERS, GUESSERS = 4, 4
OPEN_FILES = 2500
"""Of the attacker's process."""
PAUSE_SECONDS = 1.0
"""Before a connection that was closed is opened again, and before the next wave of wrong passwords."""
STEP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the attack is about: where user_app is, the attacker's session, and the stranger."""

    url: str
    token: str
    pin_token: str
    stranger_email: str
    stranger_wallet: str


Answers = Counter[str]
Run = Callable[[Target, Callable[[], bool], Answers], Coroutine[None, None, None]]
"""Attack until told that it is over, and count the answers."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One of the attacks. Redis has these settings while it lasts."""

    name: str
    run: Run
    redis: Mapping[str, str] = field(default_factory=dict)


async def fill_redis(target: Target, is_over: Callable[[], bool], answers: Answers) -> None:
    """Everything that one account can do which leaves something in Redis.

    Hints of withdrawals, counts of sign-ins, each with another email, and event streams whose events no one reads.
    """

    async def withdraw() -> None:
        bank = next(iter(BANKS.values()))
        body = {
            "bank": bank.code,
            "account_number": "50100012345678",
            "ifsc": f"{bank.ifsc_prefix}0000123",
            "account_holder": "Mallory Rao",
            "amount": 100,
        }
        async with _client(target) as client:
            while not is_over():
                await _post(client, "/withdrawals", body, answers)

    async def guess() -> None:
        async with _client(target) as client:
            while not is_over():
                body = {"email": f"{new_token(40)}@example.com".lower(), "password": new_token()}
                await _post(client, "/auth/login", body, answers)

    async def listen() -> None:
        async with _client(target) as client, client.stream("GET", "/events") as stream:
            answers[f"{stream.status_code}"] += 1
            await _sleep(TIMEOUT_SECONDS, is_over)

    many = [withdraw] * WITHDRAWERS + [guess] * GUESSERS + [listen] * STREAMS
    await asyncio.gather(*(each() for each in many))


async def check_pins(target: Target, is_over: Callable[[], bool], answers: Answers) -> None:
    """Right PINs of one account, each checked again as soon as its answer allows."""

    async def check() -> None:
        async with _client(target) as client:
            while not is_over():
                answer = await _post(client, "/auth/pin", {"pin": PIN}, answers)
                await _sleep(float(answer.headers.get("retry-after", 0)), is_over)

    await asyncio.gather(*(check() for _ in range(PIN_CHECKS)))


async def half_open(target: Target, is_over: Callable[[], bool], answers: Answers) -> None:
    """Connections that send the beginning of a request, and are opened again when they are closed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    host, _, port = urlsplit(target.url).netloc.partition(":")

    async def hold() -> None:
        while not is_over():
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError as error:
                answers[type(error).__name__] += 1
            else:
                answers["opened"] += 1
                writer.write(f"POST /api/v1/transfers HTTP/1.1\r\nHost: {host}\r\n".encode())
                if await _is_closed(reader, is_over):
                    answers["closed"] += 1
                writer.transport.abort()
            await _sleep(PAUSE_SECONDS, is_over)

    await asyncio.gather(*(hold() for _ in range(HALF_OPEN)))


async def guess_passwords(target: Target, is_over: Callable[[], bool], answers: Answers) -> None:
    """Wrong passwords for the stranger's email, each again when all are answered."""
    waves = asyncio.Barrier(WRONG_PASSWORDS)

    async def guess() -> None:
        async with _client(target) as client:
            while not is_over():
                body = {"email": target.stranger_email, "password": new_token()}
                await _post(client, "/auth/login", body, answers)
                await waves.wait()
                await _sleep(PAUSE_SECONDS, is_over)
                await waves.wait()

    await asyncio.gather(*(guess() for _ in range(WRONG_PASSWORDS)))


async def send_tiny_amounts(target: Target, is_over: Callable[[], bool], answers: Answers) -> None:
    """Transfers of one paisa to the stranger, as fast as they go."""
    left = iter(range(TINY_TRANSFERS))
    body = {"to": target.stranger_wallet, "amount": 1}

    async def send() -> None:
        async with _client(target) as client:
            for _ in left:
                if is_over():
                    return
                await _post(client, "/transfers", body, answers)

    await asyncio.gather(*(send() for _ in range(TINY_AT_ONCE)))


ATTACKS = (
    Attack("fills Redis from one account", fill_redis),
    Attack("the same, and Redis is full", fill_redis, {"maxmemory": "1"}),
    Attack(f"{PIN_CHECKS} PIN checks at once", check_pins),
    Attack(f"{HALF_OPEN:,} half-open connections", half_open),
    Attack(f"{WRONG_PASSWORDS} wrong passwords, Redis read-only", guess_passwords, {"min-replicas-to-write": "1"}),
    Attack(f"{TINY_TRANSFERS:,} tiny transfers", send_tiny_amounts),
)


async def _post(client: httpx.AsyncClient, path: str, body: Mapping[str, Any], answers: Answers) -> httpx.Response:
    try:
        answer = await client.post(path, json=body, headers={"Idempotency-Key": new_token()})
    except httpx.HTTPError as error:
        answers[type(error).__name__] += 1
        return httpx.Response(HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": f"{PAUSE_SECONDS}"})
    answers[f"{answer.status_code}"] += 1
    return answer


async def _is_closed(reader: asyncio.StreamReader, is_over: Callable[[], bool]) -> bool:
    """Wait until the server has closed the connection. False: it was still open when the attack was over."""
    while not is_over():
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE_SECONDS):
                with suppress(OSError):
                    await reader.read()
                return True
    return False


async def _sleep(seconds: float, is_over: Callable[[], bool]) -> None:
    """About so long, or until the attack is over."""
    for _ in range(round(seconds / STEP_SECONDS)):
        if is_over():
            return
        await asyncio.sleep(STEP_SECONDS)


def _client(target: Target) -> httpx.AsyncClient:
    """One for each connection: a pool of many costs more CPU than what it asks for."""
    return httpx.AsyncClient(
        base_url=f"{target.url}/api/v1",
        headers={"Authorization": f"Bearer {target.token}", "X-Pin-Token": target.pin_token},
        timeout=TIMEOUT_SECONDS,
        verify=NO_TLS,
        trust_env=False,
    )
