"""The limit on the bytes of a body, and on the seconds it may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from shared.http.errors import BodyTooLarge, BodyTooSlow


class UnreadBody(HTTPException):
    """Wraps an error as an HTTPException: the framework turns any other exception of a read into a 400."""

    def __init__(self, error: BodyTooLarge | BodyTooSlow) -> None:
        super().__init__(413 if isinstance(error, BodyTooLarge) else 408)
        self.error = error


class BodyLimit:
    """Limits the bytes of a body, and the seconds from the beginning of its request, or the first read, to its end.

    Bytes are counted as they are read, whatever Content-Length says. `larger` gives paths a limit of their own. The
    error is raised by the first read, so a check that needs no body (address, route) comes first.
    """

    def __init__(self, *, limit_bytes: int, larger: Mapping[str, int], within_seconds: float) -> None:
        self._limit_bytes = limit_bytes
        self._larger = larger
        self._within_seconds = within_seconds

    def allows(self, path: str, body: bytes) -> bool:
        """Whether a body that has arrived is small enough."""
        return len(body) <= self._larger.get(path, self._limit_bytes)

    def bounded(
        self, path: str, headers: Mapping[bytes, bytes], receive: Receive, began_at: float | None = None
    ) -> Receive:
        """What reads the body within the limits: `receive` itself when the headers announce no body.

        The seconds count from `began_at`, a time of the event loop, if a part of the request is still on its way.
        """
        announced = headers.get(b"content-length", b"0")
        if announced == b"0" and b"transfer-encoding" not in headers:
            return receive
        limit_bytes = self._larger.get(path, self._limit_bytes)
        too_large_from_start = announced.isdigit() and int(announced[:20]) > limit_bytes
        ends_at = None if began_at is None else began_at + self._within_seconds
        return _BoundedBody(receive, limit_bytes, self._within_seconds, too_large_from_start, ends_at).receive


class _BoundedBody:
    """One body while it is read."""

    __slots__ = (
        "_ends_at",
        "_is_whole",
        "_limit_bytes",
        "_receive",
        "_seen",
        "_too_large_from_start",
        "_within_seconds",
    )

    def __init__(
        self,
        receive: Receive,
        limit_bytes: int,
        within_seconds: float,
        too_large_from_start: bool,
        ends_at: float | None,
    ) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._within_seconds = within_seconds
        self._too_large_from_start = too_large_from_start
        self._ends_at = ends_at
        self._is_whole = False
        self._seen = 0

    async def receive(self) -> Message:
        """The next message. Raises UnreadBody."""
        if self._too_large_from_start:
            raise UnreadBody(BodyTooLarge(self._limit_bytes))
        if self._is_whole:  # a stream waits here until the caller leaves, however long it takes
            return await self._receive()
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self._within_seconds
        try:
            async with asyncio.timeout_at(self._ends_at):
                message = await self._receive()
        except TimeoutError:
            raise UnreadBody(BodyTooSlow(self._within_seconds)) from None
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit_bytes:
            raise UnreadBody(BodyTooLarge(self._limit_bytes))
        self._is_whole = not message.get("more_body", False)
        return message
