"""A process that is told to stop says so before it closes its port, and serves on until then."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx

from shared.db.engine import SessionMaker
from tests.support.apps import sign_up_at, user_app_settings
from tests.support.deadlines import deadline
from tests.support.events import listening_to
from tests.support.processes import running_processes
from tests.support.waiting import eventually_async

DELAY_SECONDS = 60.0
"""The longest there is: longer than the test takes. A second signal ends it."""


async def test_a_process_that_is_told_to_stop_is_not_ready_and_serves_on(
    database_url: str, redis_url: str, sessionmaker: SessionMaker, tmp_path: Path
) -> None:
    settings = user_app_settings(database_url, redis_url, shutdown_delay_seconds=DELAY_SECONDS)
    with running_processes("user_app", settings, tmp_path / "user_app.log", count=1) as service:
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=deadline()) as client:
            asha = await sign_up_at(client, sessionmaker, balance=10_00, first_name="Asha", last_name="Rao")
            ravi = await sign_up_at(client, sessionmaker, first_name="Ravi", last_name="Rao")
            async with listening_to(service.url, ravi.token) as page:
                await page.until("balance")
                assert (await client.get("/readyz")).headers.get("connection") != "close"
                os.kill(service.process.pid, signal.SIGTERM)
                await until_not_ready(client)
                answer = await client.get("/readyz")
                assert answer.json() == {"status": "stopping", "checks": {}}
                assert answer.headers["connection"] == "close"

                paid = await asha.send(ravi.wallet_id, 1_23)  # on a new connection: the last answer ended the first
                assert (paid.status_code, paid.headers["connection"]) == (201, "close")
                await page.until("balance", balance=1_23)
                assert (await client.get("/healthz")).status_code == 200

                os.kill(service.process.pid, signal.SIGTERM)
                word = ""
                while (heard := await page.next()) is not None:
                    word = str(heard.data)
                assert word.startswith("retry: "), "the page is told when to connect again"
        assert await asyncio.to_thread(service.ended) == 0


async def until_not_ready(client: httpx.AsyncClient) -> None:
    async def is_not_ready() -> bool:
        return (await client.get("/readyz")).status_code == httpx.codes.SERVICE_UNAVAILABLE

    await eventually_async(is_not_ready, "it is no longer ready")
