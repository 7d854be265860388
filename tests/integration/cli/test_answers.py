"""What programs and shells get of the command: JSON alone on standard output, exit codes, completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.layout import CHECKOUT
from tests.support.deadlines import deadline
from tests.support.number_keys import NUMBER_KEY

BATUA = [sys.executable, "-m", "infra.cli.main"]


def run(database_url: str, home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_")}
    environment |= {"BATUA_DATABASE_URL": database_url, "BATUA_HOME": str(home), **more}
    environment |= {"BATUA_ACCOUNT_NUMBER_KEYS": NUMBER_KEY}
    return subprocess.run(
        [*BATUA, *arguments],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "member"),
    [
        (("prove", "--no-bank"), "looked_at"),
        (("migrate",), "revision"),
        (("encrypt-account-numbers",), "encrypted"),
        (("audit",), "events"),
        (("find", "missing@batua"), "found"),
        (("withdrawals", "list"), "withdrawals"),
        (("withdrawals", "list-review"), "payouts_wait"),
        (("webhooks", "list"), "deliveries"),
        (("proposals", "list", "--all"), "proposals"),
        (("operators", "list"), "operators"),
    ],
)
def test_a_program_reads_one_object(
    fresh_database_url: str, tmp_path: Path, arguments: tuple[str, ...], member: str
) -> None:
    answer = run(fresh_database_url, tmp_path, *arguments, "--json")
    read: dict[str, Any] = json.loads(answer.stdout)
    assert member in read, answer.stderr
    assert answer.returncode == (1 if arguments[0] == "find" else 0)


def test_a_program_reads_what_is_wrong_with_an_archive(fresh_database_url: str, tmp_path: Path) -> None:
    for folder in ("base", "wal"):
        (tmp_path / "archive" / folder).mkdir(parents=True)
    answer = run(fresh_database_url, tmp_path, "backup", "check", str(tmp_path / "archive"), "--no-database", "--json")
    assert answer.returncode == 1, answer.stderr
    assert json.loads(answer.stdout) == {
        "ok": False,
        "backup": None,
        "backup_at": None,
        "restorable_to": None,
        "last_segment": None,
        "problems": ["there is no base backup"],
    }
    assert answer.stderr == "Problem: there is no base backup.\n"


def test_a_shell_completes_commands_and_choices(fresh_database_url: str, tmp_path: Path) -> None:
    def completed(words: str) -> str:
        asked = {"_BATUA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        script = "import sys; sys.argv = ['batua']; from infra.cli.main import app; app(prog_name='batua')"
        environment = os.environ | asked
        command = [sys.executable, "-c", script]
        ran = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
        return ran.stdout

    assert {"freeze", "find", "status", "proposals"} <= set(completed("batua ").split())
    assert {"list", "confirm"} <= set(completed("batua proposals ").split())
    assert "needs_review" in completed("batua withdrawals list --status ").split()
