"""What a process does when it is told to stop (SIGTERM, SIGINT), before the handler that its server has set.

A server closes its port at once, waits for open responses and only then ends the lifespan. Callers are told before the
port closes (`delay_termination`), and streams, which never end by themselves, when it does (`on_termination`).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def on_termination(callback: Callable[[], None]) -> Iterator[None]:
    """Call `callback` on the running loop when SIGTERM or SIGINT comes, then the handler that was there before.

    Does nothing outside the main thread, or without a handler of the server: then the signal ends the process.
    """
    loop = asyncio.get_running_loop()

    def before(handler: _Handler) -> _Handler:
        def handle(number: int, frame: FrameType | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(callback)
            handler(number, frame)

        return handle

    with _handling(before):
        yield


@contextmanager
def delay_termination(seconds: float, announce: Callable[[], None]) -> Iterator[None]:
    """Call `announce` on the running loop when SIGTERM or SIGINT comes, and the handler that was there before so many
    seconds later. A second signal ends the delay. Where `on_termination` does nothing, this does nothing either.
    """
    loop = asyncio.get_running_loop()
    was_announced = False

    def delayed(handler: _Handler) -> _Handler:
        def handle(number: int, frame: FrameType | None) -> None:
            nonlocal was_announced
            if was_announced or not seconds or loop.is_closed():
                handler(number, frame)
                return
            was_announced = True
            loop.call_soon_threadsafe(begin, number)

        def begin(number: int) -> None:
            announce()
            loop.call_later(seconds, handler, number, None)

        return handle

    with _handling(delayed):
        yield


@contextmanager
def _handling(around: Callable[[_Handler], _Handler]) -> Iterator[None]:
    """Put a handler around the present one of each signal, for as long as the context lasts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    present = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = {number: around(handler) for number, handler in present.items() if callable(handler)}
    for number, handler in ours.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in ours.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, present[number])
