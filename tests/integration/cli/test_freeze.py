"""`batua freeze` and `batua unfreeze`, run as an operator would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared.db.engine import SessionMaker
from shared.models import Account, Owner
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user

Run = Callable[..., Result]


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
async def alice(fresh_sessionmaker: SessionMaker) -> Account:
    """Has ₹100, and two withdrawals: one in the queue, one that a bank may have."""
    async with fresh_sessionmaker.begin() as session:
        alice = await create_user(session, balance=100_00)
        await create_withdrawal(session, alice, 10_00, status="unknown")
        await create_withdrawal(session, alice, 20_00, status="queued")
    return alice


async def is_frozen(sessionmaker: SessionMaker, account: Account) -> bool:
    async with sessionmaker() as session:
        return (await session.get_one(Account, account.id)).frozen_at is not None


async def test_a_freeze_says_what_stays_and_what_a_bank_may_have(
    run: Run, alice: Account, fresh_sessionmaker: SessionMaker
) -> None:
    assert alice.handle is not None
    done = await asyncio.to_thread(run, "freeze", alice.handle.upper(), "--reason", "stolen phone 50100123451234")
    assert done.exit_code == 0, done.output
    assert await is_frozen(fresh_sessionmaker, alice)
    said, _, queued, unknown = done.output.splitlines()
    assert said.startswith(f"{alice.handle} is frozen since ")
    assert "nothing leaves its accounts (1, ₹100" in said
    assert "is queued and stays so" in queued
    assert "is unknown: hdfc may have it already" in unknown

    again = await asyncio.to_thread(run, "freeze", str(alice.owner_id), "--reason", "again", "--json")
    answer = json.loads(again.output)
    assert (answer["wallet_id"], answer["is_frozen"]) == (alice.handle, True)
    assert [each["status"] for each in (*answer["kept_back"], *answer["may_have_left"])] == ["queued", "unknown"]
    assert answer["accounts"] == [{"id": str(alice.id), "kind": "wallet", "balance": 100_00, "held": 30_00}]

    listed = await asyncio.to_thread(run, "audit", "--owner", alice.handle)
    assert "freeze" in listed.output
    assert "stolen phone XXXXXX1234" in listed.output


async def test_an_owner_who_is_not_there_or_is_two_is_named(
    run: Run, alice: Account, fresh_sessionmaker: SessionMaker
) -> None:
    stranger = await asyncio.to_thread(run, "freeze", "missing@batua", "--reason", "x")
    assert (stranger.exit_code, "No owner is known as missing@batua" in stranger.output) == (1, True)
    async with fresh_sessionmaker.begin() as session:
        platform = await create_user(session, is_system=True)
        email = (await session.get_one(Owner, platform.owner_id)).email
    refused = await asyncio.to_thread(run, "freeze", email, "--reason", "x")
    assert (refused.exit_code, "platforms_own_user" in refused.output) == (1, True)
    assert not await is_frozen(fresh_sessionmaker, alice)
