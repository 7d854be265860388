"""The application factory of the bank webhook; `python -m services.bank_webhook` serves it."""

from __future__ import annotations

import shared.lean_start.webhook  # noqa: F401 - before anything else loads the libraries

# isort: split
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.responses import Response

from services.bank_webhook import routes
from services.bank_webhook.gate import MAX_BODY_BYTES, Gate
from services.bank_webhook.inbox import Inbox
from services.bank_webhook.metrics import begin_at_zero
from services.bank_webhook.resources import WebhookResources
from services.bank_webhook.settings import BankWebhookSettings
from shared.banks.signatures import SignatureInvalid
from shared.config import read_settings
from shared.http.application import create_application
from shared.http.health import POSTGRES, SCHEMA
from shared.http.problems import problem
from shared.runtime.database import open_database
from shared.runtime.logs import configure_logging
from shared.runtime.tracing import open_tracing


def create_app(settings: BankWebhookSettings | None = None) -> FastAPI:
    """Build the app; without `settings` they are read from `BATUA_*`. It starts while every other service is down."""
    chosen = settings or read_settings(BankWebhookSettings)
    configure_logging(chosen.log_level)
    begin_at_zero()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_tracing(chosen, "bank_webhook"),
            open_database(chosen, application_name="bank_webhook") as database,
        ):
            inbox = Inbox(database, within_seconds=chosen.webhook_commit_seconds)
            app.state.resources = WebhookResources(
                engine=database.engine,
                direct_engine=database.direct_engine,
                sessionmaker=database.sessionmaker,
                read_sessionmaker=database.read_sessionmaker,
                lookup_sessionmaker=database.lookup_sessionmaker,
                reads=database.reads,
                replica=None,
                settings=chosen,
                gate=Gate(chosen),
                inbox=inbox,
            )
            yield
            await inbox.close()

    app = create_application(
        title="Batua bank webhook",
        description=routes.DESCRIPTION,
        settings=chosen,
        lifespan=lifespan,
        routers=[routes.router],
        readiness=[POSTGRES, SCHEMA],
        prefix="",
        # The gate checks type and size itself, after the caller's address; this limit is a second check.
        json_only=False,
        body_limit_bytes=2 * MAX_BODY_BYTES,
        body_seconds=chosen.webhook_body_seconds,
        has_few_callers=True,
    )
    app.add_exception_handler(SignatureInvalid, _ask_for_signature)
    return app


async def _ask_for_signature(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignatureInvalid)
    return problem(error, {"WWW-Authenticate": "Webhook-Signature"})
