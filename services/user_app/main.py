"""The application factory of user_app; `python -m services.user_app` serves it."""

from __future__ import annotations

import shared.lean_start.user_app  # noqa: F401 - before anything else loads the libraries

# isort: split
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from fastapi import FastAPI

from services.user_app.api import ROUTERS
from services.user_app.api.bulk_transfers import BULK_BODY_LIMIT_BYTES, BULK_PATH
from services.user_app.banks import open_banks
from services.user_app.pages import site_of
from services.user_app.pages.scanning import LARGER_BODIES
from services.user_app.photographed_codes import CodeReader
from services.user_app.settings import UserAppSettings
from shared.config import read_settings
from shared.http.application import API_PREFIX, create_application
from shared.http.health import POSTGRES, REDIS, SCHEMA
from shared.live.hub import open_hub
from shared.pages.install import install_pages
from shared.runtime.logs import configure_logging
from shared.runtime.resources import open_resources
from shared.runtime.tracing import open_tracing
from shared.tasks.hints import Hints


def create_app(settings: UserAppSettings | None = None) -> FastAPI:
    """The application; without `settings` they are read from `BATUA_*`."""
    chosen = settings or read_settings(UserAppSettings)
    configure_logging(chosen.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_tracing(chosen, "user_app"),
            open_resources(chosen, audience="user_app") as resources,
            open_hub(chosen, resources.lookup_sessionmaker) as hub,
            open_banks(chosen.banks, chosen.on_ramps.bank_timeout_seconds) as banks,
        ):
            with closing(Hints(chosen.broker_address)) as hints, closing(CodeReader()) as code_reader:
                app.state.resources = resources
                app.state.hub = hub
                app.state.banks = banks
                app.state.code_reader = code_reader
                app.state.hint_withdrawal = hints.withdrawal
                yield

    app = create_application(
        title="user_app",
        settings=chosen,
        lifespan=lifespan,
        routers=ROUTERS,
        readiness=(POSTGRES, SCHEMA, REDIS),
        larger_bodies={f"{API_PREFIX}{BULK_PATH}": BULK_BODY_LIMIT_BYTES} | LARGER_BODIES,
    )
    install_pages(app, site_of(chosen))
    return app
