"""What `make` says on a machine whose Python is too old: one sentence, and nothing is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.local.layout import CHECKOUT
from tests.support.deadlines import deadline

OLD_PYTHON = """#!/bin/bash
if [ "$1" = --version ]; then echo "Python 3.9.2"; else exit 1; fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Nothing but what `make install` looks at, and a Python 3.9 in `bin`."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "requirements-dev.lock"):
        (tmp_path / name).touch()
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text(OLD_PYTHON, encoding="utf-8")
    old.chmod(0o755)
    return tmp_path


def make(checkout: Path, path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("make")
    assert program is not None
    return subprocess.run(
        [program, *arguments],
        cwd=checkout,
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=deadline(30),
        check=False,
    )


@pytest.mark.parametrize("target", ["install", "demo", "up", "test"])
def test_an_old_python_is_named_in_one_sentence(checkout: Path, target: str) -> None:
    result = make(checkout, str(checkout / "bin"), target)
    assert result.returncode != 0
    said = [line for line in result.stderr.splitlines() if not line.startswith("make:")]
    assert said == [
        "Batua needs Python 3.11 or newer and found Python 3.9.2: install a newer one, or name it with PYTHON=..."
    ]
    assert result.stdout == ""
    assert not (checkout / ".venv").exists()


def test_an_old_python_that_is_asked_for_is_refused_too(checkout: Path) -> None:
    result = make(checkout, "/usr/bin:/bin", "install", f"PYTHON={checkout / 'bin' / 'python3'}")
    assert result.returncode != 0
    assert "found Python 3.9.2" in result.stderr
    assert not (checkout / ".venv").exists()


def test_no_python_at_all_is_said_so(checkout: Path) -> None:
    result = make(checkout, "/nowhere", "up")
    assert result.returncode != 0
    assert "Batua needs Python 3.11 or newer and found none" in result.stderr
