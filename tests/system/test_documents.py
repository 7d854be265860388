"""The commands that README, the tutorial and the console's page show do what they say, in order, as they stand."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from infra.local.layout import CHECKOUT
from infra.local.stack import Stack
from tests.support.console import commands, is_as_shown, run
from tests.support.deadlines import deadline, patience

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("battered")]

SECONDS = 90.0
_ADDRESS = re.compile(r"(127\.0\.0\.1|localhost):80(\d\d)")


@pytest.fixture(scope="module")
def seeded(battered_stack: Stack) -> Stack:
    """A stack with the sample data."""
    seeding = CliRunner().invoke(app, ["seed"], env=battered_stack.environment())
    assert seeding.exit_code == 0, seeding.output
    return battered_stack


@pytest.fixture
def seeded_stack(seeded: Stack) -> Iterator[Stack]:
    """The same, whose banks behave, as a reader may have it."""
    behave(seeded)
    yield seeded
    behave(seeded)


def behave(stack: Stack) -> None:
    for bank in ("hdfc", "axis"):
        httpx.post(f"{stack.url('dummy_bank')}/{bank}/console/power", data={"to": "well"}, timeout=deadline())


@pytest.fixture
def folder(tmp_path: Path, seeded_stack: Stack) -> Path:
    """Looks like the checkout in which the reader has run `make up`."""
    (tmp_path / "Makefile").symlink_to(CHECKOUT / "Makefile")
    (tmp_path / "var").symlink_to(seeded_stack.layout.home)
    for name in ("requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md", "docs/console.md"])
def test_every_command_prints_what_is_shown_below_it(document: str, seeded_stack: Stack, folder: Path) -> None:
    text = (CHECKOUT / document).read_text(encoding="utf-8")
    base = seeded_stack.layout.port_base
    here = _ADDRESS.sub(lambda address: f"{address[1]}:{base + int(address[2])}", text)
    own = {"BATUA_HOME": str(seeded_stack.layout.home), "BATUA_PORT_BASE": str(base)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_")} | own
    ran = run(commands(here), shell="bash", folder=folder, environment=environment, seconds=patience(SECONDS))
    assert len(ran) > 10
    for command, printed in ran:
        assert is_as_shown(command.output, printed), f"$ {command.text}\n{printed}"
