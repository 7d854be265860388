"""`batua users create-system`, run as an operator would."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from typer.testing import CliRunner, Result

from infra.cli.users import app
from shared.auth import recovery_codes
from shared.ids import new_token
from tests.support.apps import API, PASSWORD, PIN, Signed, problem, running, user_app_settings
from tests.support.peppers import PEPPER

RUNNER = CliRunner()


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """What `batua` reads; hashes as the tests' apps make them."""
    return {
        "BATUA_HOME": str(tmp_path),
        "BATUA_DATABASE_URL": database_url,
        "BATUA_PIN_PEPPER": PEPPER,
        "BATUA_BCRYPT_ROUNDS": "4",
    }


@pytest.fixture
def email() -> str:
    """An address that is not in use."""
    return f"ops-{new_token(6).lower().strip('-_')}@example.com"


def code_of(output: str) -> str:
    """What an authenticator shows that has scanned this."""
    address = next(line for line in output.splitlines() if line.startswith("otpauth://"))
    authenticator = pyotp.parse_uri(address)
    assert isinstance(authenticator, pyotp.TOTP)
    return authenticator.now()


def recovery_codes_in(output: str) -> list[str]:
    codes = [line.strip() for line in output.splitlines() if re.fullmatch(recovery_codes.PATTERN, line.strip())]
    assert len(set(codes)) == recovery_codes.COUNT
    return codes


async def sign_in(database_url: str, redis_url: str, email: str, code: str) -> tuple[httpx.Response, str]:
    async with running(user_app_settings(database_url, redis_url)) as user_app:
        credentials = {"email": email, "password": PASSWORD}
        problem(await user_app.client.post(f"{API}/auth/login", json=credentials), 401, "second_factor_required")
        credentials["totp"] = code
        answer = await user_app.client.post(f"{API}/auth/login", json=credentials)
        user_app.client.cookies.clear()
        ravi = await user_app.person("Ravi")
        platform = Signed(user_app.client, answer.json()["user"], answer.json()["token"])
        funds: dict[str, Any] = {"to": ravi.wallet_id, "amount": 5_00}
        problem(await ravi.post("/system/initial-funds", **funds), 403, "system_user_only")
        return await platform.post("/system/initial-funds", pin=PIN, **funds), platform.wallet_id


async def test_whom_it_creates_may_hand_out_initial_funds(
    environment: dict[str, str], email: str, database_url: str, redis_url: str
) -> None:
    arguments = ["create-system", "--email", email.upper(), "--password", PASSWORD, "--pin", PIN]
    made = await asyncio.to_thread(RUNNER.invoke, app, arguments, env=environment)
    assert made.exit_code == 0, made.output
    answer, wallet_id = await sign_in(database_url, redis_url, email, code_of(made.output))
    assert answer.status_code == 201, answer.text
    assert wallet_id in made.output


async def test_another_authenticator_takes_the_place_of_a_lost_one(
    environment: dict[str, str], email: str, database_url: str, redis_url: str
) -> None:
    arguments = ["create-system", "--email", email, "--password", PASSWORD, "--pin", PIN]
    lost = await asyncio.to_thread(RUNNER.invoke, app, arguments, env=environment)
    new = await asyncio.to_thread(
        RUNNER.invoke, app, ["enrol-second-factor", "--email", email.upper()], env=environment
    )
    assert new.exit_code == 0, new.output
    async with running(user_app_settings(database_url, redis_url)) as user_app:
        credentials = {"email": email, "password": PASSWORD, "totp": code_of(lost.output)}
        problem(await user_app.client.post(f"{API}/auth/login", json=credentials), 401, "wrong_second_factor")
        asha = await user_app.person("Asha")
    answer, _ = await sign_in(database_url, redis_url, email, code_of(new.output))
    assert answer.status_code == 201, answer.text
    other = ["enrol-second-factor", "--email", asha.profile["email"]]
    refused = await asyncio.to_thread(RUNNER.invoke, app, other, env=environment)
    assert (refused.exit_code, "is not the platform's own user" in refused.output) == (1, True)


async def test_recovery_codes_are_counted_renewed_and_sign_in(
    environment: dict[str, str], email: str, database_url: str, redis_url: str
) -> None:
    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(RUNNER.invoke, app, [*arguments, "--email", email], env=environment)

    made = await run("create-system", "--password", PASSWORD, "--pin", PIN)
    first = recovery_codes_in(made.output)
    assert "10 recovery codes are left" in (await run("recovery-codes")).output
    answer, _ = await sign_in(database_url, redis_url, email, first[0])
    assert answer.status_code == 201, answer.text
    assert "9 recovery codes are left" in (await run("recovery-codes")).output
    renewed = recovery_codes_in((await run("recovery-codes", "--renew")).output)
    assert not set(first) & set(renewed)
    assert "10 recovery codes are left" in (await run("recovery-codes")).output
    async with running(user_app_settings(database_url, redis_url)) as user_app:
        credentials = {"email": email, "password": PASSWORD, "totp": first[1]}
        problem(await user_app.client.post(f"{API}/auth/login", json=credentials), 401, "wrong_second_factor")
    answer, _ = await sign_in(database_url, redis_url, email, renewed[0])
    assert answer.status_code == 201, answer.text


def test_a_program_reads_one_object_and_questions_go_elsewhere(environment: dict[str, str], email: str) -> None:
    def answer(*arguments: str, typed: str | None = None) -> dict[str, Any]:
        ran = RUNNER.invoke(app, [*arguments, "--json"], input=typed, env=environment)
        assert ran.exit_code == 0, ran.output
        return dict(json.loads(ran.stdout))

    of_email = ["--email", email]
    made = answer("create-system", *of_email, typed="\n".join([PASSWORD, PASSWORD, PIN, PIN]) + "\n")
    assert set(made) == {"email", "wallet_id", "authenticator", "recovery_codes"}
    assert (made["email"], made["wallet_id"].endswith("@batua")) == (email, True)
    assert answer("recovery-codes", *of_email) == {"email": email, "left": recovery_codes.COUNT}
    new = answer("enrol-second-factor", *of_email)
    assert new["authenticator"].startswith("otpauth://")
    assert new["authenticator"] != made["authenticator"]
    renewed = answer("recovery-codes", "--renew", *of_email)
    assert renewed["left"] == len(set(renewed["recovery_codes"]) - set(new["recovery_codes"])) == recovery_codes.COUNT


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


def test_secrets_that_are_easy_to_guess_are_refused(environment: dict[str, str], email: str) -> None:
    arguments = ["create-system", "--email", email, "--password", "Batua System", "--pin", "2020"]
    weak = RUNNER.invoke(app, arguments, env=environment)
    assert weak.exit_code == 2, weak.output
    assert [line.partition(":")[0] for line in weak.output.splitlines()] == ["password", "pin"]
