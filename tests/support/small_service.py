"""A small service around one router, with its lifespan open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI

from shared.http.application import create_application
from shared.http.health import POSTGRES, REDIS
from shared.runtime.resources import AccountSettings, open_resources


@asynccontextmanager
async def running(settings: AccountSettings, router: APIRouter, **other: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service. An error becomes a response; it is raised here only if the response had begun."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings, audience="user_app") as resources:
            app.state.resources = resources
            yield

    app = create_application(
        title="small_service",
        settings=settings,
        lifespan=lifespan,
        routers=[router],
        readiness=(POSTGRES, REDIS),
        prefix="",
        **other,
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://batua.test") as client,
    ):
        yield client
