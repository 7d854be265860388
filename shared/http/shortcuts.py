"""A shortcut for the routes that come most: a well-formed request gets its route's parameters without the framework.

FastAPI solves a tree of dependencies for every request, which costs more than a transfer itself. A shortcut reads the
same values by hand. It refuses no request for its form: what is not well-formed (a key is missing, a body does not fit)
goes the ordinary way, as if nothing had been looked at, and is answered there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

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
            result = await endpoint(**parameters)
            if isinstance(result, Response):
                return result
            return Response(result.model_dump_json(), status_code, media_type="application/json")

        return handle


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
