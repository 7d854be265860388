"""Operators with roles of their own, and the command as each of them runs it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared.ids import new_token
from tests.support.service_roles import grant

Run = Callable[..., Awaitable[Result]]


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
