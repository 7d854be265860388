"""The application factory of user_app: `uvicorn services.user_app.main:create_app --factory`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.user_app.routes import ROUTERS
from services.user_app.settings import UserAppSettings
from shared.web.application import create_application
from shared.web.health import POSTGRES, REDIS
from shared.web.logs import configure_logging
from shared.web.resources import open_resources

VERSION = "1.0.0"


def create_app(settings: UserAppSettings | None = None) -> FastAPI:
    """user_app with the given settings, or those of the environment."""
    chosen = settings or UserAppSettings()
    configure_logging(chosen.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(chosen, audience="user_app") as resources:
            app.state.resources = resources
            yield

    return create_application(
        title="user_app",
        version=VERSION,
        settings=chosen,
        lifespan=lifespan,
        routers=ROUTERS,
        readiness=(POSTGRES, REDIS),
    )
