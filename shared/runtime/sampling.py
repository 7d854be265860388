"""What a process holds just now, as gauges that are set once a second: the processes of a service are added up from
files, so nothing can be asked of them when `/metrics` is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from prometheus_client import Gauge

SAMPLE_SECONDS = 1.0

# `livesum`: what a process that is gone had no longer counts once another has taken its place.
_IN_USE = Gauge(
    "batua_database_connections_in_use",
    "Connections to Postgres that work for a request: of sessions, or direct for gathered questions and batches",
    ["pool"],
    multiprocess_mode="livesum",
)
_MOST = Gauge(
    "batua_database_connections_most",
    "Connections to Postgres that the pool may open",
    ["pool"],
    multiprocess_mode="livesum",
)
_HASHES = Gauge("batua_hashes_waiting", "Passwords and PINs that wait for a core", multiprocess_mode="livesum")
_TRANSFERS = Gauge(
    "batua_transfers_waiting",
    "Transfers that wait for a batch, or for an account that is locked elsewhere",
    multiprocess_mode="livesum",
)

Samples = Mapping[Gauge, Callable[[], float]]


def of_pool(name: str, *, in_use: Callable[[], int], most: Callable[[], int]) -> Samples:
    """The connections of a pool."""
    return {_IN_USE.labels(name): in_use, _MOST.labels(name): most}


def of_queues(*, hashes: Callable[[], int], transfers: Callable[[], int]) -> Samples:
    """What waits for the process itself."""
    return {_HASHES: hashes, _TRANSFERS: transfers}


@asynccontextmanager
async def sampling(*samples: Samples) -> AsyncIterator[None]:
    """Show these samples every SAMPLE_SECONDS, and 0 at the end."""
    together = {gauge: ask for each in samples for gauge, ask in each.items()}
    task = asyncio.create_task(_keep_sampling(together))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for gauge in together:
            gauge.set(0)


async def _keep_sampling(samples: Samples) -> None:
    while True:
        for gauge, ask in samples.items():
            gauge.set(ask())
        await asyncio.sleep(SAMPLE_SECONDS)
