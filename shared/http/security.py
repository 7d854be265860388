"""How a caller signs in, for the published contract.

FastAPI documents a security scheme that is a dependency, and solves it at every request: bearer, cookie and session
would be three steps of some 20 µs where one reads both. So the dependencies that sign a caller in are marked, and the
contract is completed from the marks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from shared.http.cookies import SESSION_COOKIE

SCHEMES: dict[str, dict[str, str]] = {
    "APIKeyCookie": {
        "type": "apiKey",
        "description": "The same token, kept by a browser",
        "in": "cookie",
        "name": SESSION_COOKIE,
    },
    "HTTPBearer": {
        "type": "http",
        "description": "The `token` of register or login",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    },
}

_DependencyT = TypeVar("_DependencyT", bound=Callable[..., Any])
_signing_in: set[Callable[..., Any]] = set()


def signs_in(dependency: _DependencyT) -> _DependencyT:
    """Mark a dependency that refuses requests without a valid session."""
    _signing_in.add(dependency)
    return dependency


def operations_signed_in(app: FastAPI) -> set[tuple[str, str]]:
    """Path and method, in lower case, of the routes that need a session."""
    return {
        (str(route.path_format), method.lower())
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and _needs_session(route.dependant)
        for method in route.methods or ()
    }


def _needs_session(dependant: Dependant) -> bool:
    return dependant.call in _signing_in or any(map(_needs_session, dependant.dependencies))
