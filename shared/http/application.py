"""Build the application of a service: what every HTTP process of Batua does in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request

from shared.api_reference.describe import operation_id
from shared.api_reference.mount import mount_api_reference
from shared.config import ProxySettings, Settings
from shared.http import openapi
from shared.http.body_limit import BodyLimit
from shared.http.client_address import CallerNetworks
from shared.http.departure import Departure
from shared.http.error_handlers import add_error_handlers
from shared.http.errors import JsonRequired
from shared.http.fair_share import FairShare
from shared.http.health import Dependency, health_router
from shared.http.literal_routes import LiteralRoutes
from shared.http.middleware import RequestMiddleware
from shared.http.per_address import AddressLimit
from shared.http.refusal import Refusal
from shared.http.security_headers import SecurityHeaders
from shared.http.shortcuts import Shortcuts
from shared.http.slowed_refusals import SlowedRefusals
from shared.http.vocabulary import DESCRIPTION
from shared.runtime import recent_callers
from shared.runtime.metrics_server import MetricsSettings, serve_metrics
from shared.runtime.serving_settings import ServingSettings
from shared.termination import delay_termination
from shared.version import VERSION

BODY_LIMIT_BYTES = 64 * 1024
BODY_SECONDS = 10.0
API_PREFIX = "/api/v1"
NO_LARGER_BODIES: Mapping[str, int] = {}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_application(
    *,
    title: str,
    description: str = DESCRIPTION,
    settings: Settings,
    lifespan: Lifespan,
    routers: Sequence[APIRouter],
    readiness: Sequence[Dependency],
    prefix: str = API_PREFIX,
    json_only: bool = True,
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    body_seconds: float = BODY_SECONDS,
    larger_bodies: Mapping[str, int] = NO_LARGER_BODIES,
    has_few_callers: bool = False,
) -> FastAPI:
    """A FastAPI application whose every error is problem+json and in its OpenAPI document.

    `lifespan` sets `app.state.resources`. `json_only=False` leaves the content type to routes that check something
    else first. `body_limit_bytes` holds for every path but those of `larger_bodies`; a body may take `body_seconds`.
    `has_few_callers`: one network address may have all of the event loop (fair_share.py).
    """
    app = FastAPI(
        title=title,
        version=VERSION,
        lifespan=_showing_metrics(settings, _announcing_its_end(settings, lifespan)),
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # none is set up; asking costs 3 µs
    )
    app.state.settings = settings
    app.state.departure = Departure()
    literal_routes = LiteralRoutes(app)
    app.state.form_targets = []  # pages add theirs before the first request
    security_headers = SecurityHeaders(form_targets=app.state.form_targets, is_local=settings.env == "local")
    # For the server, which calls the refusal instead of the application.
    app.state.refusal = Refusal(security_headers)
    app.state.body_seconds = body_seconds
    if isinstance(settings, ProxySettings):
        app.state.address_limit = AddressLimit(settings.connections_per_address, settings.trusted_proxies)
    app.add_middleware(
        RequestMiddleware,
        service=title,
        security_headers=security_headers,
        body_limit=BodyLimit(limit_bytes=body_limit_bytes, larger=larger_bodies, within_seconds=body_seconds),
        shortcuts=Shortcuts(literal_routes),
        slowed_refusals=SlowedRefusals(settings.refusal_delay_seconds if isinstance(settings, ServingSettings) else 0),
        fair_share=FairShare(recent_callers.of_this_process(), CallerNetworks(None if has_few_callers else settings)),
        trusted_proxies=settings.trusted_proxies if isinstance(settings, ProxySettings) else (),
    )
    add_error_handlers(app)
    app.include_router(health_router(readiness))
    for router in routers:
        app.include_router(router, prefix=prefix, dependencies=[Depends(require_json)] if json_only else [])
    openapi.publish_contract(app, description=description)
    mount_api_reference(app)
    app.router.routes.insert(0, literal_routes)
    return app


def _showing_metrics(settings: Settings, lifespan: Lifespan) -> Lifespan:
    """The same lifespan, with the port of `/metrics` open as long as it lasts."""
    if not isinstance(settings, MetricsSettings):
        return lifespan

    @asynccontextmanager
    async def showing(app: FastAPI) -> AsyncIterator[None]:
        stop = serve_metrics(settings)
        try:
            async with lifespan(app):
                yield
        finally:
            await asyncio.to_thread(stop)

    return showing


def _announcing_its_end(settings: Settings, lifespan: Lifespan) -> Lifespan:
    """The same lifespan, whose end is announced for as long as the settings say. Then the streams are told."""
    if not isinstance(settings, ServingSettings):
        return lifespan

    @asynccontextmanager
    async def announcing(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            with delay_termination(settings.shutdown_delay, app.state.departure.announce):
                yield

    return announcing


async def require_json(request: Request) -> None:
    """Raise JsonRequired for a body that does not say it is JSON: a form of another site cannot say so."""
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise JsonRequired
