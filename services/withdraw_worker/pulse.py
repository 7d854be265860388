"""The worker's heartbeat, written on the loop that makes the payouts, for as long as they are looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from services.withdraw_worker.resources import WorkerResources
from shared.runtime.heartbeat import BEAT_SECONDS, Heartbeat
from shared.withdrawals.dispatcher import Dispatcher

STUCK_SECONDS = 60.0
"""How long a look for withdrawals may take, its timeouts for the database included, beyond the pause between two."""


async def beat_while_it_looks(dispatcher: Dispatcher, heart: Heartbeat, sweep_seconds: float) -> None:
    """Beat every few seconds, but not while the dispatcher looks for no more withdrawals. Never returns."""
    while True:
        if dispatcher.seconds_since_look < sweep_seconds + STUCK_SECONDS:
            heart.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def carry_out(resources: WorkerResources, heart: Heartbeat, is_stopping: Callable[[], bool]) -> None:
    """Run the dispatcher until the worker is told to stop. One that fails takes the heartbeat with it."""
    async with asyncio.TaskGroup() as group:
        sweep_seconds = resources.settings.withdrawals.sweep_seconds
        beating = group.create_task(beat_while_it_looks(resources.dispatcher, heart, sweep_seconds))
        await resources.dispatcher.run(is_stopping)
        beating.cancel()
