"""What programs and shells get of the command: JSON alone on standard output, exit codes, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local.layout import CHECKOUT
from tests.support.deadlines import deadline
from tests.support.number_keys import NUMBER_KEY

ANSWERS = [
    (("prove", "--no-bank"), "looked_at"),
    (("migrate",), "revision"),
    (("encrypt-account-numbers",), "encrypted"),
    (("audit",), "events"),
    (("find", "missing@batua"), "found"),
    (("withdrawals", "list"), "withdrawals"),
    (("withdrawals", "list-review"), "payouts_wait"),
    (("webhooks", "list"), "deliveries"),
    (("suspense", "list"), "items"),
    (("proposals", "list", "--all"), "proposals"),
    (("operators", "list"), "operators"),
]
BATUA = [sys.executable, "-m", "infra.cli.main"]


@pytest.fixture(name="environment")
def environment_fixture(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Of a command; nothing of Batua's comes from outside."""
    for name in [name for name in os.environ if name.startswith("BATUA_") and not name.startswith("BATUA_TESTS_")]:
        monkeypatch.delenv(name)
    return {
        "BATUA_DATABASE_URL": fresh_database_url,
        "BATUA_HOME": str(tmp_path),
        "BATUA_ACCOUNT_NUMBER_KEYS": NUMBER_KEY,
    }


@pytest.mark.parametrize(("arguments", "member"), ANSWERS)
def test_a_program_reads_one_object(environment: Mapping[str, str], arguments: tuple[str, ...], member: str) -> None:
    answer = CliRunner().invoke(app, [*arguments, "--json"], env=environment)
    read: dict[str, Any] = json.loads(answer.stdout)
    assert member in read, answer.stderr
    assert answer.exit_code == (1 if arguments[0] == "find" else 0)


def test_a_process_prints_that_object_alone_whatever_it_says_beside_it(environment: Mapping[str, str]) -> None:
    ran = subprocess.run(
        [*BATUA, "migrate", "--json"],
        cwd=CHECKOUT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=True,
    )
    assert "revision" in json.loads(ran.stdout)


def test_a_shell_completes_commands_and_choices(environment: Mapping[str, str]) -> None:
    def completed(words: str) -> str:
        asked = {"_BATUA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        return CliRunner().invoke(app, prog_name="batua", env={**environment, **asked}).stdout

    assert {"freeze", "find", "status", "proposals"} <= set(completed("batua ").split())
    assert {"list", "confirm"} <= set(completed("batua proposals ").split())
    assert "needs_review" in completed("batua withdrawals list --status ").split()
