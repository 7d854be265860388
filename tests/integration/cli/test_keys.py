"""`batua keys`: each step leaves a list with which everything that runs goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared.banks.number_keys import AccountNumberSettings, NumberKeys
from shared.db.engine import SessionMaker
from shared.withdrawals.backfill import Backfill
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user
from tests.support.number_keys import NUMBER_KEY

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.env"
    file.write_text(f"BATUA_TOKEN_KEYS=first-key-0123456789\nBATUA_ACCOUNT_NUMBER_KEYS={NUMBER_KEY}\nOTHER=kept\n")
    return file


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path) -> Run:
    environment = {"BATUA_DATABASE_URL": fresh_database_url, "BATUA_HOME": str(tmp_path / "home")}
    environment |= {"BATUA_TOKEN_KEYS": "first-key-0123456789", "BATUA_BANK_HDFC_WEBHOOK_SECRETS": ""}

    async def batua(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, ["keys", *arguments], env=environment)

    return batua


def entries(file: Path, name: str) -> list[str]:
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert values["OTHER"] == "kept"
    return values[name].split(",")


def others_may_read(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o077)


async def test_a_key_is_added_used_and_the_old_one_dropped(run: Run, file: Path) -> None:
    name, said = "BATUA_TOKEN_KEYS", ""
    (first,) = entries(file, name)
    for step in ("add", "use", "drop"):
        done = await run("rotate", "token", step, "--file", str(file))
        assert done.exit_code == 0, done.output
        said += done.output
        if step == "add":
            assert entries(file, name)[0] == first
            new = entries(file, name)[1]
        elif step == "use":
            assert entries(file, name) == [new, first]
    assert entries(file, name) == [new]
    assert others_may_read(file) is False
    assert new not in said
    too_early = await run("rotate", "token", "drop", "--file", str(file))
    assert (too_early.exit_code, "begin with batua keys rotate token add" in too_early.output) == (1, True)


async def test_without_a_file_the_new_value_is_printed_alone(run: Run) -> None:
    done = await run("rotate", "token", "add")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("BATUA_TOKEN_KEYS=first-key-0123456789,")
    assert "Restart all services" in done.stderr
    missing = await run("rotate", "webhook-hdfc", "add")
    assert (missing.exit_code, "BATUA_BANK_HDFC_WEBHOOK_SECRETS is not set" in missing.output) == (1, True)
    assert (await run("rotate", "pepper", "add")).exit_code == 2


async def test_a_key_that_rows_need_is_not_dropped(run: Run, file: Path, fresh_sessionmaker: SessionMaker) -> None:
    name = "BATUA_ACCOUNT_NUMBER_KEYS"
    async with fresh_sessionmaker.begin() as session:
        await create_withdrawal(session, await create_user(session, balance=100_00), 10_00)

    async def encrypt() -> None:
        keys = AccountNumberSettings(account_number_keys=[SecretStr(each) for each in entries(file, name)])
        await Backfill(fresh_sessionmaker, NumberKeys(keys.account_number_keys)).run()

    await encrypt()
    for step in ("add", "use"):
        assert (await run("rotate", "account-numbers", step, "--file", str(file))).exit_code == 0
    new, old = [each.partition(":")[0] for each in entries(file, name)]
    refused = await run("rotate", "account-numbers", "drop", "--file", str(file))
    assert (refused.exit_code, f"1 account numbers are encrypted with key {old}" in refused.output) == (1, True)
    await encrypt()
    listed = await run("list", "--file", str(file), "--json")
    assert json.loads(listed.stdout)["account_numbers_by_key"] == {new: 1, old: 0}
    assert (await run("rotate", "account-numbers", "drop", "--file", str(file))).exit_code == 0
    assert [each.partition(":")[0] for each in entries(file, name)] == [new]
