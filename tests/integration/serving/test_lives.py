"""Processes that share a port are killed, stopped and started again.

Of whichever service: the webhook's start in half of the time that others take.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.bank_webhook.settings import BankWebhookSettings
from tests.support.bank_notices import webhook_values
from tests.support.processes import START_SECONDS, Processes, requests_counted, running_processes
from tests.support.waiting import eventually, eventually_async


@pytest.fixture
def mortal(database_url: str, tmp_path: Path) -> Iterator[Processes]:
    """Two processes of one test's own, to be hurt and stopped."""
    settings = BankWebhookSettings(**webhook_values(database_url))
    with running_processes("bank_webhook", settings, tmp_path / "bank_webhook.log") as service:
        yield service


async def test_a_killed_process_is_replaced_and_its_counts_go_on(mortal: Processes) -> None:
    first, second = mortal.pids()
    async with mortal.client_of(first) as client:
        assert (await client.get("/readyz")).status_code == 200
        # A request is counted a moment after it is answered.
        await eventually_async(lambda: are_counted(mortal, 1), "the request is counted")
    psutil.Process(first).kill()
    async with mortal.client_of(second) as client:
        assert (await client.get("/healthz")).status_code == 200, "the other goes on"
    await asyncio.to_thread(until_replaced, mortal, first)
    (third,) = set(mortal.pids()) - {second}
    async with mortal.client_of(third) as client:
        assert (await client.get("/readyz")).status_code == 200
        await eventually_async(lambda: are_counted(mortal, 2), "its requests are added to those of its predecessor")


async def are_counted(service: Processes, number: int) -> bool:
    return await requests_counted(service, "/readyz") == number


def until_replaced(service: Processes, pid: int) -> None:
    def is_replaced() -> bool:
        return pid not in service.pids() and len(service.listening_pids()) == service.count

    eventually(is_replaced, "the killed process is replaced", seconds=START_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_service_ends_every_process(mortal: Processes, number: signal.Signals) -> None:
    processes = [psutil.Process(pid) for pid in mortal.pids()]
    mortal.process.send_signal(number)
    assert mortal.ended() == 0
    assert not any(process.is_running() for process in processes)


def test_processes_end_in_order_when_their_supervisor_is_killed(mortal: Processes) -> None:
    processes = [psutil.Process(pid) for pid in mortal.pids()]
    mortal.process.kill()
    mortal.process.wait()

    def have_ended() -> bool:
        return not any(process.is_running() for process in processes)

    eventually(have_ended, "the processes notice that they are alone", seconds=START_SECONDS)
    assert mortal.log().count("Finished server process") == 2
