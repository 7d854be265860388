"""A command that cannot do its work says why in one sentence, without a traceback, and exits non-zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER

Run = Callable[..., Result]
COMMANDS = (
    ("migrate",),
    ("prove",),
    ("reconcile", "--bank", "hdfc"),
    ("seed",),
    ("status",),
    ("recovery", "settle"),
    ("find", "asha@batua"),
    ("freeze", "asha@batua", "--reason", "lost phone"),
    ("withdrawals", "list-review"),
    ("webhooks", "list"),
    ("proposals", "list"),
    ("users", "create-system", "--email", "ops@example.com", "--password", "correct horse", "--pin", "4812"),
)
NOT_KNOWN = ("prove", "reconcile", "recovery", "status")
BANKS = {f"BATUA_BANK_{bank}_{what}": "http://127.0.0.1:9" for bank in ("HDFC", "AXIS") for what in ("URL", "API_KEY")}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `batua` where no stack was ever started."""
    for name in ("BATUA_DATABASE_URL", "BATUA_PORT_BASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_PIN_PEPPER", PEPPER)
    monkeypatch.setenv("BATUA_ACCOUNT_NUMBER_KEYS", NUMBER_KEY)

    def batua(*arguments: str, **environment: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env=environment)

    return batua


def the_sentence(result: Result, exit_code: int = 1) -> str:
    """The only line on standard error; fails where an exception other than an exit ended the command."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == exit_code
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.mark.parametrize("command", [("ps",), ("logs",), ("up",), ("demo",), *COMMANDS], ids=lambda each: each[0])
def test_a_wrong_port_base(run: Run, command: tuple[str, ...]) -> None:
    exit_code = 2 if command[0] in NOT_KNOWN else 1
    assert "BATUA_PORT_BASE must be a number" in the_sentence(run(*command, BATUA_PORT_BASE="eighty"), exit_code)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
def test_without_a_stack_and_without_a_database(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    exit_code = 2 if command[0] in NOT_KNOWN else 1
    sentence = the_sentence(run(*command), exit_code)
    assert sentence.startswith(f"No stack has been started in {tmp_path / 'home'}")
    assert "make up" in sentence
    assert "BATUA_DATABASE_URL" in sentence


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[0])
def test_with_a_stack_that_does_not_run(run: Run, command: tuple[str, ...]) -> None:
    exit_code = 2 if command[0] in NOT_KNOWN else 1
    away = {"BATUA_DATABASE_URL": "postgresql://batua:hidden@127.0.0.1:9/batua", **BANKS}
    sentence = the_sentence(run(*command, **away), exit_code)
    assert sentence == "The database at 127.0.0.1:9 cannot be reached; is `make up` running?"


@pytest.mark.parametrize("command", ["ps", "logs"])
def test_there_is_nothing_to_list_where_no_stack_was_started(run: Run, command: str) -> None:
    sentence = the_sentence(run(command))
    assert sentence.startswith("No stack ")
    assert "make up" in sentence


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_home_that_is_a_file(run: Run, tmp_path: Path, command: str) -> None:
    file = tmp_path / "file"
    file.touch()
    assert f"{file} cannot hold the stack's files (it is a file)" in the_sentence(run(command, BATUA_HOME=str(file)))


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_home_in_a_directory_that_takes_no_files(run: Run, command: str) -> None:
    # The kernel's own directory: not even root can make another one in it.
    sentence = the_sentence(run(command, BATUA_HOME="/sys/batua"))
    assert "/sys/batua cannot hold the stack's files" in sentence
    assert "BATUA_HOME" in sentence


def test_a_log_of_a_process_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    result = run("logs", "user-app")
    assert result.exit_code == 2
    assert "there is no process user-app" in result.stderr
