"""The bank webhook: `python -m services.bank_webhook`, or uvicorn's `services.bank_webhook.main:create_app --factory`.

Behind uvicorn's own command line pass `--no-proxy-headers`: which proxies are trusted is our setting, not its.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from sqlalchemy import text
from starlette.responses import Response

from services.bank_webhook.gate import Gate
from services.bank_webhook.routes import webhooks
from services.bank_webhook.settings import BankWebhookSettings
from services.bank_webhook.state import WebhookState
from shared.bank.signing import SignatureInvalid
from shared.db.engine import create_engine, create_sessionmaker
from shared.web.application import create_application
from shared.web.problems import problem

VERSION = "1.0.0"


def create_app(settings: BankWebhookSettings | None = None) -> FastAPI:
    """Build the app; without `settings` they are read from `BATUA_*`. Nothing is connected to yet."""
    chosen = settings or BankWebhookSettings()
    engine = create_engine(chosen, application_name="bank_webhook")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    async def database() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    app = create_application(
        title="Batua bank webhook",
        version=VERSION,
        settings=chosen,
        lifespan=lifespan,
        routers=[webhooks.router],
        readiness={"postgres": database},
    )
    app.state.webhook = WebhookState(chosen, Gate(chosen), engine, create_sessionmaker(engine))
    app.add_exception_handler(SignatureInvalid, _ask_for_signature)
    return app


async def _ask_for_signature(_: Request, error: Exception) -> Response:
    assert isinstance(error, SignatureInvalid)
    return problem(error, {"WWW-Authenticate": "Webhook-Signature"})
