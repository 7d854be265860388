"""A shortcut for the routes that come most: a well-formed request gets its route's parameters without the framework.

FastAPI solves a tree of dependencies for every request, which costs more than a transfer itself. A shortcut reads the
same values by hand. It refuses no request for its form: what is not well-formed (a key is missing, a body does not fit)
goes the ordinary way, as if nothing had been looked at, and is answered there.

A request whose body has arrived with its head does not enter the framework at all (`Shortcuts`). One that arrives in
pieces, or through another server, takes its shortcut from within (`ShortcutRoute`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute, RouteContext
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from shared.errors import BatuaError
from shared.http.literal_routes import LiteralRoutes

Parameters = Callable[[Request], Awaitable[dict[str, Any] | None]]
"""Reads a route's parameters from a request; None for a request that must go the ordinary way."""

BodyT = TypeVar("BodyT", bound=BaseModel)
EndpointT = TypeVar("EndpointT", bound=Callable[..., Any])

_parameters_of: dict[Callable[..., Any], Parameters] = {}


def shortcut(parameters: Parameters) -> Callable[[EndpointT], EndpointT]:
    """Let `parameters` fill the decorated endpoint's parameters, in a router whose `route_class` is ShortcutRoute."""

    def decorate(endpoint: EndpointT) -> EndpointT:
        _parameters_of[endpoint] = parameters
        return endpoint

    return decorate


class ShortcutRoute(APIRoute):
    """A route that takes its endpoint's shortcut, if it has one. Errors are raised to where those of any route go."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of one request."""
        ordinary = super().get_route_handler()
        endpoint, status_code = self.endpoint, self.status_code or 200
        parameters_of = _parameters_of.get(endpoint)
        if parameters_of is None:
            return ordinary

        async def handle(request: Request) -> Response:
            parameters = await parameters_of(request)
            if parameters is None:
                return await ordinary(request)
            return _response(await endpoint(**parameters), status_code)

        return handle


class _WholeRequest(Request):
    """A request whose body has arrived."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        super().__init__(scope)
        self._whole = body

    async def body(self) -> bytes:
        """All of it."""
        return self._whole


@dataclass(frozen=True, slots=True)
class _Shortcut:
    """A route whose path holds no parameter, and how its endpoint is called without it."""

    route: RouteContext
    parameters: Parameters
    endpoint: Callable[..., Awaitable[Any]]
    status_code: int


class Shortcuts:
    """The shortcuts of an application, for whole requests outside its framework."""

    def __init__(self, routes: LiteralRoutes) -> None:
        self._routes = routes

    async def answer(self, scope: Scope, body: bytes) -> Response | None:
        """What the route would answer; None for a request that must go the ordinary way."""
        found = self._table.get((scope["method"], scope["path"]))
        if found is None or scope.get("root_path"):
            return None
        request = _WholeRequest(scope, body)
        try:
            parameters = await found.parameters(request)
            if parameters is None:
                return None
            scope["route"] = found.route  # for the log line and the metrics
            return _response(await found.endpoint(**parameters), found.status_code)
        except BatuaError as error:
            scope["route"] = found.route
            answer = scope["app"].exception_handlers[BatuaError]
            refusal: Response = await answer(request, error)
            return refusal

    @cached_property
    def _table(self) -> dict[tuple[str, str], _Shortcut]:
        """Made at the first request, as that of the routes."""
        found = {}
        for key, context in self._routes.table.items():
            route = context.original_route
            if isinstance(route, ShortcutRoute) and route.endpoint in _parameters_of:
                parameters = _parameters_of[route.endpoint]
                found[key] = _Shortcut(context, parameters, route.endpoint, route.status_code or 200)
        return found


def _response(result: Any, status_code: int) -> Response:
    if isinstance(result, Response):
        return result
    return Response(result.model_dump_json(), status_code, media_type="application/json")


def announces_body(request: Request) -> bool:
    """Whether a body follows the headers."""
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def json_body(request: Request, model: type[BodyT]) -> BodyT | None:
    """The body, read and validated as FastAPI does it; None for one that says it is anything but JSON, or does not fit.

    What was read stays with the request, where the ordinary way finds it. Raises UnreadBody.
    """
    if request.headers.getlist("content-type") != ["application/json"]:
        return None
    try:
        return model.model_validate(await request.json())
    except (ValueError, RecursionError, ClientDisconnect):
        return None
