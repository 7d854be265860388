"""What owners and operators read about withdrawals is the same before and after `batua encrypt-account-numbers`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import select
from typer.testing import CliRunner, Result

from infra.cli.main import app as command_line
from shared.banks.table import BANKS
from shared.models import Account, Withdrawal
from tests.support.apps import RunningApp, Signed, running, user_app_settings
from tests.support.number_keys import NUMBER_KEY
from tests.support.simulated_bank import KEYS, Running
from tests.support.withdrawal_world import ACCOUNT_NUMBER, World


@pytest.fixture
def batua(fresh_database_url: str, running_bank: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command line, with the bank of these tests."""
    monkeypatch.setenv("BATUA_HOME", str(tmp_path))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    monkeypatch.setenv("BATUA_ACCOUNT_NUMBER_KEYS", NUMBER_KEY)
    monkeypatch.setenv("COLUMNS", "200")
    for code in BANKS:
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_URL", f"{running_bank.url}/{code}")
        monkeypatch.setenv(f"BATUA_BANK_{code.upper()}_API_KEY", KEYS[code])
    return CliRunner()


async def run(batua: CliRunner, *arguments: str) -> Result:
    return await asyncio.to_thread(batua.invoke, command_line, list(arguments))


async def paid_out_by_the_version_before(world: World, app: RunningApp, owner: Signed) -> list[UUID]:
    """Withdrawals that the bank has paid, and two that it has not: their rows hold whole account numbers."""
    async with world.sessionmaker() as session:
        wallet = await session.get_one(Account, UUID((await owner.wallet())["account_id"]))
    world.owners.add(owner.id)
    paid = [await world.ask(wallet, amount) for amount in (10_00, 20_00)]
    await world.work_until_status(paid, "succeeded")
    asked = [*paid, *[await world.ask(wallet, amount) for amount in (30_00, 40_00)]]
    for withdrawal_id in asked:
        await world.change(
            withdrawal_id, account_number=ACCOUNT_NUMBER, account_number_encrypted=None, account_number_index=None
        )
    return asked


async def seen_by(owner: Signed, withdrawals: list[UUID]) -> list[str]:
    """Statement and withdrawals, as CSV, JSON and pages."""
    browser = {"cookie": f"session={owner.token}", "accept": "text/html"}
    answers = [
        await owner.get("/transactions.csv"),
        await owner.get("/transactions"),
        await owner.get("/withdrawals"),
        *[await owner.get(f"/withdrawals/{each}") for each in withdrawals],
        *[await owner.client.get(f"/withdrawals/{each}", headers=browser) for each in withdrawals],
        await owner.client.get("/withdraw", headers=browser),  # offers the account again
    ]
    assert {answer.status_code for answer in answers} == {200}
    # A page's key and nonce are its own.
    return [re.sub(r'(nonce|value)="[\w-]{20,}"', "", answer.text) for answer in answers]


async def test_the_same_is_read_before_and_after(
    world_alone: World, fresh_database_url: str, redis_url: str, redis: Redis, batua: CliRunner
) -> None:
    async with running(user_app_settings(fresh_database_url, redis_url)) as app:
        asha = await app.person("Asha", balance=1_000_00)
        asked = await paid_out_by_the_version_before(world_alone, app, asha)
        before = await seen_by(asha, asked)
        assert any(ACCOUNT_NUMBER[-4:] in text for text in before)
        reconciled = await run(batua, "reconcile", "--bank", "hdfc", "--grace-seconds", "0")
        assert reconciled.exit_code == 0, reconciled.output
        assert "hdfc: 2 lines match, 0 differences" in reconciled.output

        encrypted = await run(batua, "encrypt-account-numbers")
        assert encrypted.exit_code == 0, encrypted.output
        assert f"{len(asked)} account numbers encrypted" in encrypted.output
        async with world_alone.sessionmaker() as session:
            kept = set(await session.scalars(select(Withdrawal.account_number)))
        assert ACCOUNT_NUMBER not in kept

        assert await seen_by(asha, asked) == before
        again = await run(batua, "reconcile", "--bank", "hdfc", "--grace-seconds", "0")
        assert (again.exit_code, again.output) == (0, reconciled.output)
        await world_alone.work_until_status(asked, "succeeded")  # and what was not paid yet still can be
        after = await run(batua, "reconcile", "--bank", "hdfc", "--grace-seconds", "0")
        assert "hdfc: 4 lines match, 0 differences" in after.output
