"""Run Postgres's own programs: those of the installed wheel, or else those on the path."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.local import postgres
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT


class ProgramFailed(StackError):
    """A program of Postgres failed, or is not installed; the text says which and why."""


def find(name: str) -> Path:
    """Where the program is. Raises ProgramFailed."""
    try:
        found = postgres.program(name)
    except ModuleNotFoundError:
        found = Path(shutil.which(name) or name)
    if not found.is_file():
        raise ProgramFailed(f"{name} is not installed: it comes with PostgreSQL")
    return found


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, seconds: float) -> str:
    """Run the command to its end and answer what it printed. Raises ProgramFailed."""
    name = next((Path(part).name for part in command if Path(part).name.startswith("pg_")), command[0])
    try:
        done = subprocess.run(  # noqa: S603 - our own command line, no shell
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{name} did not end within {seconds:.0f} s") from None
    if done.returncode != 0:
        raise ProgramFailed(f"{name} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
