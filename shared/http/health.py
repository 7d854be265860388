"""`/healthz`: the process is up. `/readyz`: what it needs is there. `/metrics`: what it counts."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import text

from shared.runtime.processes import EachProcess

CHECK_TIMEOUT_SECONDS = 2.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something a service needs. `check` raises when it is away. If it is not required, `/readyz` only reports it."""

    name: str
    check: Callable[[FastAPI], Awaitable[None]]
    is_required: bool = True


async def check_postgres(app: FastAPI) -> None:
    """One round trip to the database."""
    async with app.state.resources.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def check_redis(app: FastAPI) -> None:
    """One round trip to Redis."""
    await app.state.resources.redis.ping()


POSTGRES = Dependency("postgres", check_postgres)
REDIS = Dependency("redis", check_redis, is_required=False)


def health_router(readiness: Sequence[Dependency]) -> APIRouter:
    """Three routes of every service, without a token and outside the OpenAPI document."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        results = await asyncio.gather(*(_is_there(dependency, request.app) for dependency in readiness))
        checks = {
            dependency.name: "ok" if is_there else "failed"
            for dependency, is_there in zip(readiness, results, strict=True)
        }
        ready = all(is_there or not each.is_required for each, is_there in zip(readiness, results, strict=True))
        content = {"status": "ok" if ready else "failed", "checks": checks}
        return JSONResponse(content, status_code=200 if ready else 503)

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(generate_latest(_registry()), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _registry() -> CollectorRegistry:
    """What this process counts; where several share a port, what all count together, and what each of them takes."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(EachProcess())
    return registry


async def _is_there(dependency: Dependency, app: FastAPI) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await dependency.check(app)
    except Exception as error:  # any failure means: not there
        _logger.warning("%s is not ready: %s", dependency.name, type(error).__name__)
        return False
    return True
