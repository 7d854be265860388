"""What wraps every request: its id, its log line and metrics, a limit on its body, and an answer whatever happens.

Pure ASGI, so that streaming and context variables work as without it.
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
from shared.runtime.logs import request_id

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,128}")
_KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_UNKNOWN = "unknown"

_access = logging.getLogger("batua.access")
_logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Outermost of ours: nothing gets past it without a request id, a log line and an answer."""

    def __init__(self, app: ASGIApp, *, service: str, refusal: Callable[[Request, BatuaError], Response]) -> None:
        self._app = app
        self._service = service
        self._refusal = refusal

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
            if status is not None:  # too late to say anything else: the connection breaks
                raise
            refused = self._refusal(Request(scope), ServiceUnavailable() if outage else InternalError())
            await refused(scope, receive, send_named)
        finally:
            self._record(scope, status or 500, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else _UNKNOWN
        metrics.observe(service=self._service, method=method, route=route, status=status, seconds=seconds)
        facts = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        _access.info("%s %s %d", method, route, status, extra={"facts": facts})


class BodyLimitMiddleware:
    """Counts the bytes as they are read, so that a missing or wrong Content-Length gains nothing, and the seconds from
    the first look at the body to its end, so that one that trickles in holds nothing up.

    `larger` names paths with a limit of their own. Nothing is refused before somebody reads: a check that comes
    first (an address, a route) still speaks first.
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
            if is_whole:  # from here on it is waited for the caller to leave, which may take as long as a stream
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
    """Leaves the reading of a body as an HTTPException: any other exception there, the framework calls a 400."""

    def __init__(self, error: BodyTooLarge | BodyTooSlow) -> None:
        super().__init__(413 if isinstance(error, BodyTooLarge) else 408)
        self.error = error


def _template(scope: Scope) -> str:
    context: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path_format", None) or getattr(context, "path", None) or _UNKNOWN)
