"""A form sent twice at the same moment: the second click is answered like the first, as soon as that is through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.idempotency.claims import Answer
from shared.idempotency.errors import RequestInFlight

PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.1


async def answered_once(work: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of `work`, which runs under an idempotency key. A browser shows only what the last of several
    clicks was answered, so that one waits for the first: RequestInFlight is raised after PATIENCE_SECONDS only.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await work()
        except RequestInFlight:
            if loop.time() >= give_up_at:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
