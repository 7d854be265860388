"""A command loads what it needs, so that `batua ps` answers at once."""

from __future__ import annotations

import subprocess
import sys

from infra.local.layout import CHECKOUT

PROGRAM = """
import sys
import typer
from infra.cli.main import app
commands = typer.main.get_command(app).commands
for name in ("ps", "logs"):
    assert commands[name].name == name
print(*sorted({"alembic", "asyncpg", "fastapi", "pydantic", "redis", "sqlalchemy"} & sys.modules.keys()))
"""


def test_what_looks_at_processes_and_logs_loads_no_database_and_no_settings() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
