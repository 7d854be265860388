"""A step of a start that takes too long ends it with a sentence that says what to do, and without a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local import postgres, stack
from infra.local.environment import local_secrets
from infra.local.errors import MigrationTooSlow
from infra.local.stack import Stack

SOON = 0.01


def hanging(folder: Path, name: str = "program") -> Path:
    """A program that does not end by itself."""
    program = folder / name
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    return program


def too_slow(home: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> MigrationTooSlow:
    monkeypatch.setattr(stack, "MIGRATION_SECONDS", SOON)
    monkeypatch.setattr(sys, "executable", str(hanging(home)))
    slow = Stack(home, 20000, environment)
    slow.layout.make_directories()
    slow._secrets = local_secrets(slow.layout)
    with pytest.raises(MigrationTooSlow) as raised:
        slow.migrate()
    return raised.value


def test_migrations_that_do_not_end_say_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = too_slow(tmp_path, monkeypatch, BATUA_READY_SECONDS="0.001")
    assert error.seconds == SOON
    assert "Start again to go on" in str(error)
    assert "BATUA_READY_SECONDS" in str(error)


def test_a_start_that_may_take_longer_gives_the_migrations_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert too_slow(tmp_path, monkeypatch, BATUA_READY_SECONDS="0.02").seconds == 0.04


def test_the_command_says_it_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_stack: Stack, **_: object) -> None:
        raise MigrationTooSlow(120)

    monkeypatch.setattr(Stack, "start", start)
    result = CliRunner().invoke(app, ["up"], env={"BATUA_HOME": str(tmp_path)})
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Batua cannot start: the migrations had not ended after 120 s")
    assert "BATUA_READY_SECONDS above 60" in line


def test_a_database_that_is_not_made_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging(tmp_path, "initdb")
    monkeypatch.setattr(postgres, "program", lambda name: tmp_path / name)
    monkeypatch.setattr(postgres, "INITDB_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(postgres.DatabaseNotCreated, match="initdb had not ended"):
        postgres._initdb("unchanged", tmp_path / "data", tmp_path / "password")
