"""What wraps every request: its id, its log line and metrics, its headers, and a response to every failure.

One layer of pure ASGI, so that streaming and context variables keep working and a request pays for it once.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import callers, spans
from shared.audit.trail import request_network
from shared.callers import Caller, CallerLeft
from shared.db.outages import is_outage
from shared.errors import BatuaError
from shared.http.body_limit import BodyLimit
from shared.http.client_address import is_in, network_of_request, peer_of
from shared.http.errors import InternalError, ServiceUnavailable
from shared.http.exchange import EXTENSION, Exchange
from shared.http.fair_share import FairShare, SharedRequest
from shared.http.forwarded import peer_address
from shared.http.outage_log import OutageLog
from shared.http.security_headers import RawHeader, SecurityHeaders
from shared.http.shortcuts import Shortcuts
from shared.http.slowed_refusals import ONE_TOO_MANY, SlowedRefusals
from shared.ids import new_id_text
from shared.production import Network
from shared.runtime import metrics
from shared.runtime.logs import facts, log_request, request_id

_VISIBLE_ASCII = re.compile(rb"[\x21-\x7e]{1,128}")
_KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_UNKNOWN = "unknown"
_NONE: Mapping[str, Any] = {}
_CALLER_LEFT = 499
"""Not a status of HTTP, and never sent. Proxies write the same number into their logs for the same event."""

_logger = logging.getLogger(__name__)


class RequestMiddleware:
    """Gives every request an id, a bounded body and a log line, and every response its headers.

    Answers an unexpected error as the application answers its own errors: 503 when the database is away, else 500.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        security_headers: SecurityHeaders,
        body_limit: BodyLimit,
        shortcuts: Shortcuts,
        slowed_refusals: SlowedRefusals,
        fair_share: FairShare,
        trusted_proxies: Sequence[Network],
    ) -> None:
        self._app = app
        self._service = service
        self._security_headers = security_headers
        self._body_limit = body_limit
        self._shortcuts = shortcuts
        self._slowed_refusals = slowed_refusals
        self._fair_share = fair_share
        self._trusted_proxies = trusted_proxies
        self._outages = OutageLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        name = given.decode("ascii") if _VISIBLE_ASCII.fullmatch(given) else new_id_text()
        extensions = scope.get("extensions", _NONE)
        caller: Caller | None = extensions.get(callers.EXTENSION)
        if caller is not None:
            caller.is_served()
        token, noted = request_id.set(name), facts.set({})
        network = request_network.set(partial(network_of_request, scope))
        shared = self._fair_share.request(scope)
        try:
            began_at = None if caller is None else caller.began_at
            bounded = self._body_limit.bounded(scope["path"], headers, receive, began_at)
            exchange = extensions.get(EXTENSION)
            if not spans.are_on():
                await shared.measured(self._serve(scope, bounded, send, name=name, exchange=exchange, shared=shared))
                return
            with spans.begin_trace(scope["method"], "server", parent=self._parent(scope, headers)):
                await shared.measured(self._serve(scope, bounded, send, name=name, exchange=exchange, shared=shared))
        finally:
            shared.end()
            request_network.reset(network)
            request_id.reset(token)
            facts.reset(noted)

    async def _serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        name: str,
        exchange: Exchange | None,
        shared: SharedRequest,
    ) -> None:
        started = time.perf_counter()
        status: int | None = None
        named = (b"x-request-id", name.encode("ascii"))

        async def send_completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == HTTPStatus.TOO_MANY_REQUESTS or scope.get("state", _NONE).get(ONE_TOO_MANY):
                    await self._slowed_refusals.wait()
                message["headers"] = self._security_headers.completed(message.get("headers", ()), named)
            await send(message)

        try:
            await shared.wait_for_turn()
            body = None if exchange is None else exchange.whole_body()
            response = None if body is None else await self._take_shortcut(scope, body)
            if response is None:
                await self._app(scope, receive if body is not None else shared.receiving(receive), send_completed)
            elif exchange is not None and self._sends_whole(response, exchange, named):
                status = response.status_code
            else:
                await response(scope, receive, send_completed)
        except CallerLeft:
            status = _CALLER_LEFT
        except Exception as error:
            if shared.has_left:  # whatever reads the body says it in words of its own
                status = _CALLER_LEFT
            else:
                await self._fail(error, scope, receive, send_completed, has_begun=status is not None)
        finally:
            self._record(scope, status or 500, time.perf_counter() - started)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, send: Send, *, has_begun: bool) -> None:
        """Answer an error that nothing else has. Raises it again if the response has begun: the connection breaks."""
        outage = is_outage(error)
        if outage:
            self._outages.write(error)
        else:
            _logger.error("request failed", exc_info=error)
        if has_begun:
            raise error
        answer = scope["app"].exception_handlers[BatuaError]
        refusal: Response = await answer(Request(scope), ServiceUnavailable() if outage else InternalError())
        await refusal(scope, receive, send)

    async def _take_shortcut(self, scope: Scope, body: bytes) -> Response | None:
        """The response of a shortcut; None for a request that has none."""
        return await self._shortcuts.answer(scope, body) if self._body_limit.allows(scope["path"], body) else None

    def _sends_whole(self, response: Response, exchange: Exchange, named: RawHeader) -> bool:
        """Whether a response has been sent past the messages. A refusal is not: it may end the connection."""
        if response.status_code >= HTTPStatus.BAD_REQUEST or response.background is not None:
            return False
        headers = self._security_headers.completed(response.raw_headers, named)
        return exchange.answer(response.status_code, headers, bytes(response.body))

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else _UNKNOWN
        metrics.observe(service=self._service, method=method, route=route, status=status, seconds=seconds)
        if spans.are_on():
            spans.describe(_facts_of_span(method, route, status), name=f"{method} {route}")
        log_request(method=method, route=route, status=status, seconds=seconds)

    def _parent(self, scope: Scope, headers: Mapping[bytes, bytes]) -> spans.Context | None:
        """The trace that a trusted proxy began. One that a stranger names could be any other's."""
        given = headers.get(b"traceparent")
        if given is None or not self._is_trusted(scope):
            return None
        return spans.Context.read(given.decode("latin-1"))

    def _is_trusted(self, scope: Scope) -> bool:
        address = peer_address(peer_of(Request(scope)) or "")
        return address is not None and is_in(address, self._trusted_proxies)


def _facts_of_span(method: str, route: str, status: int) -> spans.Attributes:
    noted = {f"batua.{name}": value for name, value in (facts.get() or _NONE).items()}
    return {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "batua.request_id": request_id.get() or "",
        **noted,
    }


def _template(scope: Scope) -> str:
    context: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path_format", None) or getattr(context, "path", None) or _UNKNOWN)
