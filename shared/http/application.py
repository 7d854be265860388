"""One way to build a service: what every HTTP process of Batua does alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from shared.config import Settings
from shared.errors import BatuaError
from shared.http import openapi
from shared.http.errors import JsonRequired
from shared.http.health import Dependency, health_router
from shared.http.middleware import BodyLimitMiddleware, RequestMiddleware, UnreadBody
from shared.http.security_headers import SecurityHeadersMiddleware
from shared.pages import error_pages, static_files
from shared.pages.rendering import environment_of
from shared.pages.site import Pages, PageState
from shared.version import VERSION

BODY_LIMIT_BYTES = 64 * 1024
BODY_SECONDS = 10.0
API_PREFIX = "/api/v1"
NO_LARGER_BODIES: Mapping[str, int] = {}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_application(
    *,
    title: str,
    settings: Settings,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    readiness: Sequence[Dependency],
    prefix: str = API_PREFIX,
    json_only: bool = True,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    body_seconds: float = BODY_SECONDS,
    larger_bodies: Mapping[str, int] = NO_LARGER_BODIES,
    pages: Pages | None = None,
) -> FastAPI:
    """A FastAPI application whose every error is problem+json and in its OpenAPI document; with `pages`, a browser
    that opened one is answered by a page instead.

    `lifespan` puts `app.state.resources` in place. `json_only=False` leaves the content type to the routes, for
    one that must check something else first. `larger_bodies` are limits of certain paths, in bytes.
    A body has `body_seconds` to arrive whole.
    """
    app = FastAPI(
        title=title,
        version=VERSION,
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.add_middleware(
        BodyLimitMiddleware, limit_bytes=body_limit_bytes, larger=larger_bodies, within_seconds=body_seconds
    )
    app.add_middleware(RequestMiddleware, service=title, refusal=error_pages.refusal)
    app.add_middleware(
        SecurityHeadersMiddleware,
        form_targets=pages.form_targets if pages is not None else (),
        is_local=settings.env == "local",
    )
    app.add_exception_handler(BatuaError, error_pages.answer_batua_error)
    app.add_exception_handler(UnreadBody, error_pages.answer_unread_body)
    app.add_exception_handler(HTTPException, error_pages.answer_http_error)
    app.add_exception_handler(RequestValidationError, error_pages.answer_validation_error)
    app.include_router(health_router(readiness))
    for router in routers:
        app.include_router(router, prefix=prefix, dependencies=[Depends(require_json)] if json_only else [])
    if pages is not None:
        _add_pages(app, pages, settings)
    openapi.publish(app)
    return app


def _add_pages(app: FastAPI, pages: Pages, settings: Settings) -> None:
    app.state.pages = PageState(pages.shell, environment_of(pages.templates), settings)
    for router in (static_files.router, *pages.routers):
        for route in router.routes:
            if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
                route.methods.add("HEAD")  # RFC 9110, 9.1: whoever serves one serves the other
        app.include_router(router, include_in_schema=False)


async def require_json(request: Request) -> None:
    """A body must say that it is JSON; a form of another site cannot. Raises JsonRequired."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise JsonRequired
