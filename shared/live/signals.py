"""End streams as soon as the process is told to stop.

A server waits for open responses before it ends the lifespan, and a stream never ends by itself. So the signal is
handled here first and then passed on to the server.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` on the running loop when SIGTERM or SIGINT comes, then the handler that the server has set.

    Does nothing outside the main thread, or without a handler of the server: then the signal ends the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    ours = {number: _chained(loop, callback, signal.getsignal(number)) for number in _SIGNALS}
    before = {number: signal.signal(number, handler) for number, handler in ours.items() if handler is not None}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is ours[number]:
                signal.signal(number, handler)


def _chained(
    loop: asyncio.AbstractEventLoop, callback: Callable[[], None], handler: Any
) -> Callable[[int, FrameType | None], None] | None:
    if not callable(handler):
        return None

    def chained(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(callback)
        handler(number, frame)

    return chained
