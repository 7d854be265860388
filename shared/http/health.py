"""`/healthz`: the process is up. `/readyz`: what it needs is there, and it goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import text

from shared.migrations.history import newest_revision

CHECK_TIMEOUT_SECONDS = 2.0
_WRITTEN_NAME = "readyz"
_WRITTEN_SECONDS = 60

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something a service needs. `check` raises when it is away. If it is not required, `/readyz` only reports it."""

    name: str
    check: Callable[[FastAPI], Awaitable[None]]
    is_required: bool = True


class RejectsWrites(Exception):
    """The database server is a standby, was demoted, or is read-only for another reason."""


class SchemaTooOld(Exception):
    """A migration that this version needs has not been applied."""


async def check_postgres(app: FastAPI) -> None:
    """One round trip to the database. Raises RejectsWrites."""
    async with app.state.resources.engine.connect() as connection:
        if await connection.scalar(text("SELECT current_setting('transaction_read_only')")) != "off":
            raise RejectsWrites


async def check_schema(app: FastAPI) -> None:
    """Whether every migration that this version knows has been applied. Raises SchemaTooOld.

    A newer schema is fine: while a new version is being rolled out, the one before it goes on.
    """
    async with app.state.resources.engine.connect() as connection:
        applied = await connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
    if int(applied or 0) < int(newest_revision()):
        raise SchemaTooOld


async def check_redis(app: FastAPI) -> None:
    """One write to Redis: a server that is full, or a replica, answers reads and is of no use."""
    await app.state.resources.redis.set(_WRITTEN_NAME, b"", ex=_WRITTEN_SECONDS)


POSTGRES = Dependency("postgres", check_postgres)
SCHEMA = Dependency("schema", check_schema)
REDIS = Dependency("redis", check_redis, is_required=False)


def health_router(readiness: Sequence[Dependency]) -> APIRouter:
    """Two routes of every service, without a token and outside the OpenAPI document."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(request: Request) -> Response:
        if request.app.state.departure.is_announced:
            return JSONResponse({"status": "stopping", "checks": {}}, status_code=503)
        results = await asyncio.gather(*(_is_there(dependency, request.app) for dependency in readiness))
        checks = {
            dependency.name: "ok" if is_there else "failed"
            for dependency, is_there in zip(readiness, results, strict=True)
        }
        ready = all(is_there or not each.is_required for each, is_there in zip(readiness, results, strict=True))
        content = {"status": "ok" if ready else "failed", "checks": checks}
        return JSONResponse(content, status_code=200 if ready else 503)

    return router


async def _is_there(dependency: Dependency, app: FastAPI) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await dependency.check(app)
    except Exception as error:  # any failure means: not there
        _logger.warning("%s is not ready: %s", dependency.name, type(error).__name__)
        return False
    return True
