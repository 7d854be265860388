"""One way to build a service: what every HTTP process of Batua does alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.config import Settings
from shared.errors import BatuaError
from shared.web import openapi, problems
from shared.web.errors import JsonRequired
from shared.web.health import Dependency, health_router
from shared.web.middleware import BodyLimitMiddleware, RequestMiddleware, UnreadBody, answer_unread_body

BODY_LIMIT_BYTES = 64 * 1024
API_PREFIX = "/api/v1"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_application(
    *,
    title: str,
    version: str,
    settings: Settings,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    readiness: Sequence[Dependency],
    prefix: str = API_PREFIX,
    json_only: bool = True,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
) -> FastAPI:
    """A FastAPI application whose every error is problem+json and in its OpenAPI document.

    `lifespan` puts `app.state.resources` in place. `json_only=False` leaves the content type to the routes, for
    one that must check something else first.
    """
    app = FastAPI(
        title=title,
        version=version,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.add_middleware(BodyLimitMiddleware, limit_bytes=body_limit_bytes)
    app.add_middleware(RequestMiddleware, service=title)
    app.add_exception_handler(BatuaError, problems.answer_batua_error)
    app.add_exception_handler(UnreadBody, answer_unread_body)
    app.add_exception_handler(HTTPException, problems.answer_http_error)
    app.add_exception_handler(RequestValidationError, problems.answer_validation_error)
    app.include_router(health_router(readiness))
    for router in routers:
        app.include_router(router, prefix=prefix, dependencies=[Depends(require_json)] if json_only else [])
    openapi.publish(app)
    return app


async def require_json(request: Request) -> None:
    """A body must say that it is JSON; a form of another site cannot. Raises JsonRequired."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise JsonRequired
