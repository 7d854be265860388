"""Know at once that the process is told to stop.

A server waits for open responses before it ends the lifespan, and a stream of events never ends by itself: so its
signal is heard here too, and then handed on.
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
    """Call `callback` on the running loop when a server's handler is about to be told to stop.

    Does nothing outside the main thread, or where no handler is set: there the process just ends.
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
