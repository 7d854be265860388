"""Whether the process is up (`/healthz`), and whether what it needs is there (`/readyz`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text

from shared.runtime import metrics

CHECK_TIMEOUT_SECONDS = 2.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something a service needs. `check` raises when it is away; one that is not required is only reported."""

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
    """The three routes that every service has; they need no token and are not part of the published contract."""
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
        return metrics.render()

    return router


async def _is_there(dependency: Dependency, app: FastAPI) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await dependency.check(app)
    except Exception as error:  # whatever is wrong with it, it is not there
        _logger.warning("%s is not ready: %s", dependency.name, type(error).__name__)
        return False
    return True
