"""Drop the work of a caller who has left, while it still waits in a queue.

The server calls `Caller.leave` when the client hangs up. Nothing watches a request: one whose caller stays pays for a
context variable and a look at it. Work that has begun goes on: its idempotency key tells a later repeat what became
of it.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from types import TracebackType
from typing import Any

EXTENSION = "batua.caller"
"""Under this name the server hands an application the caller, among the extensions of an ASGI scope."""

_current: ContextVar[Caller | None] = ContextVar("caller", default=None)


class CallerLeft(Exception):
    """The client hung up before its work began: nothing was done, and there is no one to answer."""


class Caller:
    """Who waits at the other end of one connection, which serves one request at a time.

    `task` serves the request, `wait` is the queue it is in, `peer` the network address of that end.
    While a request is not whole, `began_at` is when it began, as a time of the event loop.
    """

    __slots__ = ("began_at", "has_left", "peer", "task", "wait")

    def __init__(self, peer: str | None = None) -> None:
        self.has_left = False
        self.peer = peer
        self.began_at: float | None = None
        self.task: asyncio.Task[Any] | None = None
        self.wait: WhileWanted | None = None

    def is_served(self) -> None:
        """The running task serves this caller from now on. Tasks that it starts do not: they may work for others."""
        self.task = asyncio.current_task()
        _current.set(self)

    def leave(self) -> None:
        """End the wait in a queue, now or when it would begin."""
        self.has_left = True
        if self.wait is not None:
            self.wait.end()


class WhileWanted:
    """Inside the block, which only waits in a queue, the task is cancelled when its caller leaves.

    Raises CallerLeft then, and at the beginning if the caller has left before. Never put a statement to the database
    inside: its connection would be broken.
    """

    __slots__ = ("_caller", "_cancelled_before", "_is_ended", "_task")

    def __enter__(self) -> None:
        self._is_ended = False
        self._caller = caller = _current.get()
        if caller is None:
            return
        self._task = task = asyncio.current_task()
        if caller.task is not task:
            self._caller = None
        elif caller.has_left:
            raise CallerLeft
        else:
            caller.wait = self

    def end(self) -> None:
        """Cancel the task, which waits inside the block."""
        if not self._is_ended and self._task is not None:
            self._is_ended = True
            self._cancelled_before = self._task.cancelling()
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if self._caller is None:
            return
        self._caller.wait = None
        if self._is_ended and self._task is not None:
            others = self._task.uncancel() - self._cancelled_before  # a timeout or a shutdown, which keep their meaning
            if kind is asyncio.CancelledError and others <= 0:
                raise CallerLeft from None
