"""A transfer with FastAPI, asyncpg and one SQL function: what one would write by hand, without most of what Batua does.

It reads and checks the JSON, asks Postgres once, and answers. It keeps the idempotency key and both entries. It does
not check a token or a PIN (it believes the headers `X-Owner` and `X-Account`), has no limits, no mail, no live pages,
no log lines and no metrics, and does not answer a repeated key.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field

DATABASE_URL = "BENCH_DATABASE_URL"
POOL_SIZE = 10
"""As many connections per process as Batua's default."""
FUNCTION = Path(__file__).with_name("thin.sql")


class Transfer(BaseModel):
    """What to send to whom."""

    to: str = Field(max_length=70)
    amount: int = Field(strict=True, ge=1)


def create_app() -> FastAPI:
    """The application. `BENCH_DATABASE_URL` names the database with the function of thin.sql."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        url = os.environ[DATABASE_URL]
        async with asyncpg.create_pool(url, min_size=POOL_SIZE, max_size=POOL_SIZE) as app.state.pool:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/transfers", status_code=201)
    async def send(
        body: Transfer,
        x_owner: Annotated[UUID, Header()],
        x_account: Annotated[UUID, Header()],
        idempotency_key: Annotated[str, Header(max_length=255)],
    ) -> dict[str, Any]:
        sent = "SELECT thin_transfer($1, $2, $3, $4, $5)"
        answer = await app.state.pool.fetchval(sent, x_owner, idempotency_key, x_account, body.to, body.amount)
        return dict(json.loads(answer))

    return app
