"""One loop per process: coroutines from many threads, resources opened once and closed at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from shared.tasks.runner import IsStopping, Runner
from tests.support.deadlines import deadline


class Opened:
    """What happened to the resources."""

    def __init__(self) -> None:
        self.times = 0
        self.closed = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[asyncio.AbstractEventLoop]:
        self.times += 1
        yield asyncio.get_running_loop()
        self.closed += 1


async def test_every_thread_shares_one_loop_and_one_set_of_resources() -> None:
    opened = Opened()
    runner = Runner(opened.open)

    async def where(resources: asyncio.AbstractEventLoop) -> bool:
        return asyncio.get_running_loop() is resources

    def run() -> bool:
        return runner.run(where, timeout_seconds=deadline())

    with ThreadPoolExecutor(8) as threads:
        same = await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(threads, run) for _ in range(20)))
    assert (all(same), opened.times) == (True, 1)
    runner.close()
    assert opened.closed == 1


def test_nothing_is_opened_before_it_is_needed_and_closing_nothing_is_fine() -> None:
    opened = Opened()
    Runner(opened.open).close()
    assert opened.times == 0


def test_a_run_ends_in_time_and_the_error_is_the_callers() -> None:
    runner = Runner(Opened().open)
    with pytest.raises(TimeoutError):
        runner.run(lambda _: asyncio.Event().wait(), timeout_seconds=0.01)

    async def fail(_: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        runner.run(fail, timeout_seconds=deadline())
    runner.close()


def test_closing_cancels_what_runs_and_tells_its_caller() -> None:
    runner = Runner(Opened().open)
    started, outcome = threading.Event(), []

    async def work(_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    def run() -> None:
        try:
            runner.run(work, timeout_seconds=deadline(60))
        except IsStopping:
            outcome.append("stopping")

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(deadline())
    runner.close()
    thread.join(deadline())
    assert outcome == ["stopping"]


def test_runs_end_within_so_many_seconds_and_what_was_begun_goes_on() -> None:
    runner = Runner(Opened().open)
    started = threading.Event()
    goes_on = runner.begin(lambda _: asyncio.Event().wait())

    async def work(_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(runner.run, work, timeout_seconds=deadline(3600))
        assert started.wait(deadline())
        runner.end_within(0.01)
        assert isinstance(run.exception(deadline()), IsStopping)
    with pytest.raises(IsStopping):  # nor is another one begun for longer
        runner.run(work, timeout_seconds=deadline(3600))
    assert not goes_on.done()
    runner.close()


def test_a_run_that_takes_too_long_while_the_worker_stops_is_still_too_long() -> None:
    runner = Runner(Opened().open)
    runner.run(lambda _: asyncio.sleep(0), timeout_seconds=deadline())  # so that its loop runs, and all is open
    started = threading.Event()

    async def work(_: object) -> None:
        started.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(runner.run, work, timeout_seconds=deadline(0.5))
        assert started.wait(deadline())
        runner.end_within(deadline(3600))
        assert isinstance(run.exception(deadline()), TimeoutError)
    runner.close()


def test_a_failed_start_is_tried_again() -> None:
    attempts: list[int] = []

    @asynccontextmanager
    async def open_at_the_second_try() -> AsyncIterator[int]:
        attempts.append(1)
        if len(attempts) == 1:
            raise ConnectionError("not yet")
        yield len(attempts)

    async def what(resources: int) -> int:
        return resources

    runner = Runner(open_at_the_second_try)
    with pytest.raises(ConnectionError):
        runner.run(what, timeout_seconds=deadline())
    assert runner.run(what, timeout_seconds=deadline()) == 2
    runner.close()
