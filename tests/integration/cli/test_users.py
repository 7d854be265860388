"""`batua users create-system`, run as an operator would."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from infra.cli.users import app
from shared.ids import new_token
from tests.support.apps import API, PASSWORD, PIN, Signed, problem, running, user_app_settings

RUNNER = CliRunner()


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """What `batua` reads; hashes as the tests' apps make them."""
    return {
        "BATUA_HOME": str(tmp_path),
        "BATUA_DATABASE_URL": database_url,
        "BATUA_PIN_PEPPER": "a pepper 0123456789",
        "BATUA_BCRYPT_ROUNDS": "4",
    }


@pytest.fixture
def email() -> str:
    """An address that is not in use."""
    return f"ops-{new_token(6).lower().strip('-_')}@example.com"


async def sign_in(database_url: str, redis_url: str, email: str) -> tuple[httpx.Response, str]:
    async with running(user_app_settings(database_url, redis_url)) as user_app:
        credentials = {"email": email, "password": PASSWORD}
        answer = await user_app.client.post(f"{API}/auth/login", json=credentials)
        user_app.client.cookies.clear()
        ravi = await user_app.person("Ravi")
        platform = Signed(user_app.client, answer.json()["user"], answer.json()["token"])
        funds: dict[str, Any] = {"to": ravi.wallet_id, "amount": 5_00}
        problem(await ravi.post("/system/initial-funds", **funds), 403, "system_user_only")
        return await platform.post("/system/initial-funds", **funds), platform.wallet_id


async def test_whom_it_creates_may_hand_out_initial_funds(
    environment: dict[str, str], email: str, database_url: str, redis_url: str
) -> None:
    arguments = ["create-system", "--email", email.upper(), "--password", PASSWORD, "--pin", PIN]
    made = await asyncio.to_thread(RUNNER.invoke, app, arguments, env=environment)
    assert made.exit_code == 0, made.output
    answer, wallet_id = await sign_in(database_url, redis_url, email)
    assert answer.status_code == 201, answer.text
    assert wallet_id in made.output


def test_what_is_not_given_is_asked_for_and_not_shown(environment: dict[str, str], email: str) -> None:
    typed = "\n".join([email, PASSWORD, PASSWORD, PIN, PIN]) + "\n"
    made = RUNNER.invoke(app, ["create-system"], input=typed, env=environment)
    assert made.exit_code == 0, made.output
    assert PASSWORD not in made.output
    assert PIN not in made.output.replace(email, "")


def test_an_address_is_taken_once_and_bad_secrets_are_named_not_repeated(
    environment: dict[str, str], email: str
) -> None:
    arguments = ["create-system", "--email", email, "--password", PASSWORD, "--pin", PIN]
    assert RUNNER.invoke(app, arguments, env=environment).exit_code == 0
    again = RUNNER.invoke(app, arguments, env=environment)
    assert (again.exit_code, "already registered" in again.output) == (1, True)

    bad = RUNNER.invoke(
        app, ["create-system", "--email", "nowhere", "--password", "short!", "--pin", "99"], env=environment
    )
    assert bad.exit_code == 2
    assert [line.partition(":")[0] for line in bad.output.splitlines()] == ["email", "password", "pin"]
    assert "short!" not in bad.output
