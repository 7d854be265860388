from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared.db.engine import SessionMaker
from shared.models import Withdrawal
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user
from tests.support.number_keys import NEWER_NUMBER_KEY, NUMBER_KEY

Run = Callable[[str], Result]
NUMBER = "123456789012"


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path) -> Run:
    """Runs the command with these keys."""
    given = {"BATUA_HOME": str(tmp_path), "BATUA_DATABASE_URL": fresh_database_url}
    return lambda keys: CliRunner().invoke(
        app, ["encrypt-account-numbers"], env={**given, "BATUA_ACCOUNT_NUMBER_KEYS": keys}
    )


@pytest.fixture
async def withdrawals(fresh_sessionmaker: SessionMaker) -> list[UUID]:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session, balance=1_000_00)
        return [(await create_withdrawal(session, wallet, 1_00)).id for _ in range(3)]


@pytest.mark.usefixtures("withdrawals")
async def test_it_encrypts_rotates_and_does_nothing_twice(run: Run, fresh_sessionmaker: SessionMaker) -> None:
    for keys, sentence in [
        (NUMBER_KEY, "3 account numbers encrypted with key tests."),
        (NUMBER_KEY, "0 account numbers encrypted with key tests."),
        (f"{NEWER_NUMBER_KEY},{NUMBER_KEY}", "3 account numbers encrypted with key newer."),
        (NEWER_NUMBER_KEY, "0 account numbers encrypted with key newer."),
    ]:
        result = await asyncio.to_thread(run, keys)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, sentence)
        assert NUMBER not in result.output
    async with fresh_sessionmaker() as session:
        assert set(await session.scalars(select(Withdrawal.account_number))) == {"XXXXXX9012"}


async def test_it_names_what_it_cannot_read(
    run: Run, fresh_sessionmaker: SessionMaker, withdrawals: list[UUID]
) -> None:
    await asyncio.to_thread(run, NUMBER_KEY)
    async with fresh_sessionmaker.begin() as session:
        lost = {"account_number_encrypted": "lost:AAAA"}
        await session.execute(update(Withdrawal).where(Withdrawal.id == withdrawals[1]).values(lost))
    result = await asyncio.to_thread(run, NUMBER_KEY)
    assert result.exit_code == 1
    assert f"1 cannot be read with these keys, of the withdrawals {withdrawals[1]}." in result.stderr


def test_it_asks_for_keys(run: Run) -> None:
    assert "BATUA_ACCOUNT_NUMBER_KEYS" in run("no key").stderr
