"""The application factory of merchant_app; `python -m services.merchant_app` serves it."""

from __future__ import annotations

import shared.lean_start.merchant_app  # noqa: F401 - before anything else loads the libraries

# isort: split
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI

from services.merchant_app.api import ROUTERS
from services.merchant_app.pages import SITE
from services.merchant_app.settings import MerchantAppSettings
from shared.config import read_settings
from shared.http.application import create_application
from shared.http.health import POSTGRES, REDIS, SCHEMA
from shared.live.hub import open_hub
from shared.pages.install import install_pages
from shared.runtime.logs import configure_logging
from shared.runtime.resources import open_resources
from shared.runtime.tracing import open_tracing
from shared.tasks.hints import Hints


def create_app(settings: MerchantAppSettings | None = None) -> FastAPI:
    """The application; without `settings` they are read from `BATUA_*`."""
    chosen = settings or read_settings(MerchantAppSettings)
    configure_logging(chosen.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_tracing(chosen, "merchant_app"),
            open_resources(chosen, audience="merchant_app") as resources,
            open_hub(chosen, resources.lookup_sessionmaker) as hub,
        ):
            with closing(Hints(chosen.broker_address)) as hints:
                app.state.resources = resources
                app.state.hub = hub
                app.state.hint_withdrawal = hints.withdrawal
                yield

    app = create_application(
        title="merchant_app",
        settings=chosen,
        lifespan=lifespan,
        routers=ROUTERS,
        readiness=(POSTGRES, SCHEMA, REDIS),
    )
    install_pages(app, SITE)
    return app
