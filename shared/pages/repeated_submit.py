"""A form that is sent twice at the same moment: the second request gets the answer of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.http.dependencies import note_made
from shared.idempotency.claims import Answer
from shared.idempotency.errors import RequestInFlight

MAX_WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.1


async def retry_while_in_flight(work: Callable[[], Awaitable[Answer]], *, of: str) -> Answer:
    """The answer of `work`, which runs under an idempotency key. Log lines name its id as `of`, such as `transfer_id`.

    While another request with this key is in flight, try again: of several clicks a browser shows only the last
    response. Raises RequestInFlight after MAX_WAIT_SECONDS, and what `work` raises.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + MAX_WAIT_SECONDS
    while True:
        try:
            answer = await work()
        except RequestInFlight:
            if loop.time() >= give_up_at:
                raise
        else:
            note_made(answer, of)
            return answer
        await asyncio.sleep(PAUSE_SECONDS)
