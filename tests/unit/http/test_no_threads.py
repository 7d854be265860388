"""FastAPI runs a dependency or a route that is not `async` in a thread: every request would pay for the way there."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from infra.documentation.openapi import SERVICES, application


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from _calls(each)


def _runs_in_a_thread(call: object) -> bool:
    called = call if inspect.isroutine(call) else type(call).__call__
    return not (inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called))


def _in_threads(app: FastAPI) -> set[str]:
    routes = [route for route in iter_route_contexts(app.routes) if isinstance(route.original_route, APIRoute)]
    assert routes
    calls = {call for route in routes for call in _calls(route.dependant)}
    return {getattr(call, "__qualname__", repr(call)) for call in calls if _runs_in_a_thread(call)}


@pytest.mark.parametrize("service", SERVICES)
def test_no_route_and_no_dependency_runs_in_a_thread(service: str) -> None:
    assert _in_threads(application(service)) == set()


def test_one_that_does_is_found() -> None:
    app = FastAPI()

    def number() -> int:
        return 1

    @app.get("/", dependencies=[Depends(number)])
    async def show() -> None: ...

    assert _in_threads(app) == {number.__qualname__}
