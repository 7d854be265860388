"""Operators with roles of their own, and the command as each of them runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id, new_token
from shared.models import Account, OnRamp, WebhookDelivery
from shared.models.webhook_delivery import Verdict
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user
from tests.support.service_roles import grant

Run = Callable[..., Awaitable[Result]]
REASON = ("--reason", "the bank wrote us")


@dataclass(frozen=True)
class Operator:
    """A person who may act by hand."""

    name: str
    database_url: str
    home: Path

    async def run(self, *arguments: str, text: str | None = None) -> Result:
        """The command, as this operator runs it."""
        return await run_batua(self.database_url, self.home, *arguments, text=text)

    async def answer(self, *arguments: str) -> dict[str, Any]:
        """What the command answers a program, once it has succeeded."""
        result = await self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))


async def run_batua(database_url: str, home: Path, *arguments: str, text: str | None = None) -> Result:
    """On a thread, because the command brings an event loop of its own."""
    environment = {"BATUA_DATABASE_URL": database_url, "BATUA_HOME": str(home), "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment, input=text)


@pytest.fixture
async def administrator(fresh_database_url: str, tmp_path: Path) -> Operator:
    """The superuser, who is no operator."""
    await grant(fresh_database_url)
    return Operator("postgres", fresh_database_url, tmp_path / "home")


async def enrol(administrator: Operator, name: str) -> Operator:
    """One more operator; the name gets an ending, because roles are of the whole server."""
    own = f"{name}_{new_token(6).lower().replace('-', '_')}"
    answer = await administrator.answer("operators", "add", own)
    return Operator(own, answer["database_url"], administrator.home)


@pytest.fixture
async def asha(administrator: Operator) -> Operator:
    return await enrol(administrator, "asha")


@pytest.fixture
async def ravi(administrator: Operator) -> Operator:
    return await enrol(administrator, "ravi")


@pytest.fixture
async def alice(fresh_sessionmaker: SessionMaker) -> Account:
    async with fresh_sessionmaker.begin() as session:
        return await create_user(session, balance=100_00)


@pytest.fixture
async def under_review(fresh_sessionmaker: SessionMaker, alice: Account) -> UUID:
    """A withdrawal of ₹30."""
    async with fresh_sessionmaker.begin() as session:
        return (await create_withdrawal(session, alice, 30_00, status="needs_review")).id


async def money(sessionmaker: SessionMaker, account: Account) -> tuple[int, int]:
    async with sessionmaker() as session:
        found = await session.get_one(Account, account.id)
        return found.balance, found.held


@asynccontextmanager
async def signed_in(operator: Operator) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(operator.database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def proposed(operator: Operator, *arguments: str) -> str:
    answer = await operator.answer(*arguments)
    assert answer["state"] == "open"
    return str(answer["id"])


async def kept(sessionmaker: SessionMaker, on_ramp: OnRamp, **changed: Any) -> UUID:
    """A bank's notice about the on-ramp, of which we knew nothing when it came."""
    notice = {
        "bank": on_ramp.bank,
        "event": "success",
        "token": on_ramp.token,
        "user_id": str(on_ramp.owner_id),
        "amount": on_ramp.amount,
        "bank_reference": "REF7",
        "reason": None,
    }
    delivery = WebhookDelivery(
        id=new_id(),
        bank=on_ramp.bank,
        webhook_id=f"msg_{new_id()}",
        payload=notice | changed,
        verdict=Verdict.UNKNOWN_TOKEN,
        received_at=clock.now(),
    )
    async with sessionmaker.begin() as session:
        session.add(delivery)
    return delivery.id
