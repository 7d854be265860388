"""Looking a path up finds the route that going through all of them finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Match

from infra.documentation.openapi import application
from shared.http.literal_routes import LiteralRoutes

METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "BREW")


def requests_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    paths = {route.path for route in iter_route_contexts(app.routes) if route.path}
    for path in sorted(paths | {"/nowhere", "/api/v1/transfers/", "//", "/api/v1/accounts/x"}):
        for method in METHODS:
            yield method, path


def found_by_going_through(app: FastAPI, method: str, path: str) -> Any:
    """The first route whose expression and method fit."""
    for route in iter_route_contexts(app.routes[1:]):
        if route.path_regex.match(path) and method in (route.methods or {"GET", "HEAD"}):
            return route.endpoint
    return None


def found_by_looking_up(app: FastAPI, method: str, path: str) -> Any:
    first = app.router.routes[0]
    assert isinstance(first, LiteralRoutes)
    match, child_scope = first.matches({"type": "http", "method": method, "path": path, "root_path": ""})
    return child_scope["endpoint"] if match is Match.FULL else None


@pytest.mark.parametrize("service", ["user_app", "merchant_app", "bank_webhook"])
def test_every_path_leads_where_it_would_lead_without(service: str) -> None:
    app = application(service)
    looked_up = 0
    for method, path in requests_of(app):
        found = found_by_looking_up(app, method, path)
        looked_up += found is not None
        assert found in (None, found_by_going_through(app, method, path)), f"{method} {path}"
    assert looked_up >= 3


@pytest.mark.parametrize("path", ["/api/v1/wallet", "/api/v1/transactions", "/api/v1/transfers", "/", "/healthz"])
def test_what_comes_most_is_looked_up(path: str) -> None:
    method = "POST" if path.endswith("transfers") else "GET"
    assert found_by_looking_up(application("user_app"), method, path) is not None


async def test_a_route_that_comes_first_is_not_passed_over() -> None:
    app, router = FastAPI(), APIRouter(prefix="/things")

    @router.get("/{name}")
    async def one(name: str) -> str:
        return name

    @router.get("/all")
    async def never() -> str:
        return "never"

    @router.post("/all")
    async def posted() -> str:
        return "posted"

    app.include_router(router)
    app.router.routes.insert(0, LiteralRoutes(app))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://batua.test") as client:
        assert (await client.get("/things/all")).json() == "all"
        assert (await client.post("/things/all")).json() == "posted"
        wrong = await client.delete("/things/all")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
