"""A server that is told to stop ends the event streams of open pages instead of waiting for them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.apps import PASSWORD, PIN
from tests.support.deadlines import deadline, patience
from tests.support.events import listening_to
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER
from tests.support.ports import free_ports

CHECKOUT = Path(__file__).parents[3]
GRACE_SECONDS = 3600
"""For what is under way when the server is told to stop: much longer than a test waits."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_open_streams_end_at_once_when_the_server_stops(
    database_url: str, redis_url: str, number: signal.Signals
) -> None:
    (port,) = free_ports(1)
    environment = os.environ | {
        "BATUA_DATABASE_URL": database_url,
        "BATUA_REDIS_URL": redis_url,
        "BATUA_TOKEN_KEYS": "newest-key-0123456789",
        "BATUA_PIN_PEPPER": PEPPER,
        "BATUA_ACCOUNT_NUMBER_KEYS": NUMBER_KEY,
        "BATUA_MERCHANT_APP_URL": "https://shops.batua.example",
        "BATUA_BCRYPT_ROUNDS": "4",
    }
    command = ["-m", "uvicorn", "services.merchant_app.main:create_app", "--factory", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--timeout-graceful-shutdown", str(GRACE_SECONDS)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=CHECKOUT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        token = await _sign_up(f"http://127.0.0.1:{port}")
        async with listening_to(f"http://127.0.0.1:{port}", token) as page:
            await page.until("balance")
            process.send_signal(number)
            while await page.next() is not None:
                pass
            await asyncio.wait_for(process.wait(), deadline())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _sign_up(url: str) -> str:
    ends_at = time.monotonic() + patience(60)
    body = {"email": f"shop{time.time_ns()}@example.com", "password": PASSWORD, "pin": PIN, "business_name": "Chai"}
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(60)) as client:
        while True:
            try:
                answer = await client.post("/api/v1/auth/register", json=body)
            except httpx.TransportError:
                assert time.monotonic() < ends_at, "the server did not start"
                await asyncio.sleep(0.1)
            else:
                assert answer.status_code == httpx.codes.CREATED, answer.text
                return str(answer.json()["token"])
