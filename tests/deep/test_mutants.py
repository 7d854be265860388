"""The unit tests notice every change to the rules of money and of withdrawals, and to the gate of the bank webhook, but
those that survivors.toml explains.

mutmut changes one place at a time and runs the unit tests that come by there. `[tool.mutmut]` in pyproject.toml says
what it changes, and by which tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from infra.local.layout import CHECKOUT
from tests.support.share import HOURS

EXPLAINED = Path(__file__).parent / "survivors.toml"
"""Each change that no test notices, `function: its lines`, and why that is right."""
NEEDED = ("shared", "services", "infra", "tests", "pyproject.toml")
SURVIVED, WITHOUT_TEST = 0, (5, 33)
NOWHERE = {"BATUA_TESTS_POSTGRES": "postgresql://nowhere/none", "BATUA_TESTS_REDIS": "redis://nowhere/0"}
"""Unit tests need no server, and none is started for each change."""


def mutmut(folder: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "mutmut"), *arguments]
    environment = {**os.environ, **NOWHERE}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=HOURS, check=False
    )
    assert run.returncode == 0, run.stdout[-5_000:] + run.stderr[-2_000:]
    return run.stdout


def unnoticed(folder: Path) -> Iterator[str]:
    """`function: its lines` of each change that no test noticed."""
    for file in (folder / "mutants").rglob("*.meta"):
        ends = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        assert None not in ends.values(), f"{file.name}: not every change was tried"
        for name, end in ends.items():
            if end == SURVIVED or end in WITHOUT_TEST:
                yield f"{function_of(name)}: {lines_of(mutmut(folder, 'show', name))}"


def function_of(mutant: str) -> str:
    """`Deciding._own` of `shared.ledger.rules.xǁDecidingǁ_own__mutmut_5`."""
    mangled = mutant.rpartition(".")[2].rpartition("__mutmut_")[0]
    return ".".join(mangled.removeprefix("x").strip("ǁ").split("ǁ")) if "ǁ" in mangled else mangled.removeprefix("x_")


def lines_of(difference: str) -> str:
    """The lines taken out, then those put in."""
    lines = [line for line in difference.splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    return " ".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def test_every_change_that_no_test_notices_is_explained(tmp_path: Path) -> None:
    for name in NEEDED:
        source, leave = CHECKOUT / name, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=leave)
        else:
            shutil.copy(source, tmp_path / name)
    print(mutmut(tmp_path, "run").replace("\r", "\n")[-200:])
    found = set(unnoticed(tmp_path))
    explained = set(tomllib.loads(EXPLAINED.read_text(encoding="utf-8")))
    assert found - explained == set(), "write a test that notices it, or explain it in survivors.toml"
    assert explained - found == set(), "a test notices these now: take them out of survivors.toml"
