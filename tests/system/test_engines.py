"""`python -m infra.engines` on another server: a plain Postgres holds, with locks that are rows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import postgres
from infra.local.layout import CHECKOUT
from infra.local.stack import Stack
from tests.support.deadlines import deadline
from tests.support.whole_stack import SLOW

pytestmark = pytest.mark.slow


def test_a_plain_postgres_holds_when_locks_are_rows(tmp_path: Path, free_port_base: Callable[[], int]) -> None:
    server = Stack(tmp_path, free_port_base(), SLOW)
    server.start({"postgres"})
    try:
        address = server.database_url(postgres.SUPERUSER, "postgres")
        # All of them would take minutes: the storm, and copies in two processes, which the lock tells apart.
        selected = "every_paisa or told_at_once or not_in_flight"
        run = subprocess.run(
            [sys.executable, "-m", "infra.engines", address, "--engine", "distributed", "--tests", selected],
            cwd=CHECKOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("BATUA_")},
            capture_output=True,
            text=True,
            timeout=deadline(200),
            check=False,
        )
    finally:
        server.stop()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "This engine holds." in run.stdout
