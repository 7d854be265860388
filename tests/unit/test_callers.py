"""A caller who leaves ends a wait in a queue, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.callers import Caller, CallerLeft, WhileWanted
from tests.support.deadlines import deadline


async def _served(caller: Caller, work: Callable[[], Awaitable[object]]) -> asyncio.Task[object]:
    """A task that serves the caller and has begun."""

    async def serve() -> object:
        caller.is_served()
        return await work()

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    return task


async def _wait_in_a_queue() -> None:
    with WhileWanted():
        await asyncio.Event().wait()


async def test_a_wait_ends_when_the_caller_leaves() -> None:
    caller = Caller()
    task = await _served(caller, _wait_in_a_queue)
    caller.leave()
    caller.leave()
    with pytest.raises(CallerLeft):
        await task
    assert task.cancelling() == 0


async def test_no_wait_begins_for_a_caller_who_has_left() -> None:
    caller = Caller()
    caller.leave()
    with pytest.raises(CallerLeft):
        await (await _served(caller, _wait_in_a_queue))


async def test_work_outside_a_queue_goes_on() -> None:
    caller, go_on = Caller(), asyncio.Event()

    async def work() -> str:
        with WhileWanted():
            await asyncio.sleep(0)
        await go_on.wait()
        return "done"

    task = await _served(caller, work)
    await asyncio.sleep(0)
    caller.leave()
    go_on.set()
    assert await task == "done"


async def test_a_task_that_works_for_others_goes_on() -> None:
    caller, go_on = Caller(), asyncio.Event()

    async def work_for_all() -> str:
        with WhileWanted():
            await go_on.wait()
        return "done"

    async def start() -> asyncio.Task[str]:
        return asyncio.create_task(work_for_all())

    started = await (await _served(caller, start))
    assert isinstance(started, asyncio.Task)
    caller.leave()
    go_on.set()
    assert await started == "done"


async def test_a_cancellation_and_a_timeout_keep_their_meaning() -> None:
    caller = Caller()
    task = await _served(caller, _wait_in_a_queue)
    task.cancel()
    caller.leave()
    with pytest.raises(CallerLeft):  # the server stops: whichever comes first ends the task
        await asyncio.wait_for(asyncio.shield(task), deadline())

    async def give_up() -> None:
        async with asyncio.timeout(0):
            await _wait_in_a_queue()

    with pytest.raises(TimeoutError):
        await (await _served(Caller(), give_up))
    assert task.done()


async def test_without_a_caller_nothing_changes() -> None:
    with WhileWanted():
        await asyncio.sleep(0)
