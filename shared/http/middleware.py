"""What wraps every request: its id, its log line and metrics, a limit on its body, and a response to every failure.

Pure ASGI, so that streaming and context variables keep working.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.db.outages import is_outage
from shared.errors import BatuaError
from shared.http.errors import BodyTooLarge, BodyTooSlow, InternalError, ServiceUnavailable
from shared.ids import new_id
from shared.runtime import metrics
from shared.runtime.logs import log_request, request_id

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")
_KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_UNKNOWN = "unknown"

_logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Gives every request an id and a log line, and answers an unexpected error as the application answers its own
    errors: 503 when the database is away, else 500.
    """

    def __init__(self, app: ASGIApp, *, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _VISIBLE_ASCII.fullmatch(given) else str(new_id())
        token = request_id.set(name)
        try:
            await self._serve(scope, receive, send, name)
        finally:
            request_id.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        started = time.perf_counter()
        status: int | None = None

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = name
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception as error:
            outage = is_outage(error)
            if outage:
                _logger.warning("unavailable: %s", type(error).__name__, exc_info=error)
            else:
                _logger.error("request failed", exc_info=error)
            if status is not None:  # the response has begun: the connection breaks
                raise
            answer = scope["app"].exception_handlers[BatuaError]
            response: Response = await answer(Request(scope), ServiceUnavailable() if outage else InternalError())
            await response(scope, receive, send_named)
        finally:
            self._record(scope, status or 500, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else _UNKNOWN
        metrics.observe(service=self._service, method=method, route=route, status=status, seconds=seconds)
        log_request(method=method, route=route, status=status, seconds=seconds)


class BodyLimitMiddleware:
    """Limits the bytes of a body, and the seconds from the first read to its end.

    Bytes are counted as they are read, whatever Content-Length says. `larger` gives paths a limit of their own. The
    error is raised by the first read, so a check that needs no body (address, route) comes first.
    """

    def __init__(self, app: ASGIApp, *, limit_bytes: int, larger: Mapping[str, int], within_seconds: float) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._larger = larger
        self._within_seconds = within_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, self._counting(scope, self._timed(receive)), send)

    def _timed(self, receive: Receive) -> Receive:
        ends_at: float | None = None
        is_whole = False

        async def timed() -> Message:
            nonlocal ends_at, is_whole
            if is_whole:  # a stream waits here until the caller leaves, however long it takes
                return await receive()
            ends_at = asyncio.get_running_loop().time() + self._within_seconds if ends_at is None else ends_at
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise UnreadBody(BodyTooSlow(self._within_seconds)) from None
            is_whole = not message.get("more_body", False)
            return message

        return timed

    def _counting(self, scope: Scope, receive: Receive) -> Callable[[], Awaitable[Message]]:
        limit_bytes = self._larger.get(scope["path"], self._limit_bytes)
        announced = Headers(scope=scope).get("content-length", "")
        too_large_from_start = announced.isdecimal() and int(announced[:20]) > limit_bytes
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            if too_large_from_start:
                raise UnreadBody(BodyTooLarge(limit_bytes))
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit_bytes:
                raise UnreadBody(BodyTooLarge(limit_bytes))
            return message

        return limited


class UnreadBody(HTTPException):
    """Wraps an error as an HTTPException: the framework turns any other exception of a read into a 400."""

    def __init__(self, error: BodyTooLarge | BodyTooSlow) -> None:
        super().__init__(413 if isinstance(error, BodyTooLarge) else 408)
        self.error = error


def _template(scope: Scope) -> str:
    context: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path_format", None) or getattr(context, "path", None) or _UNKNOWN)
