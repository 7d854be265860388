"""The version of Batua: the one in pyproject.toml, which is stated nowhere else."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def _version() -> str:
    try:
        return metadata.version("batua")
    except metadata.PackageNotFoundError:
        # The container image runs the source tree and has not installed it as a package.
        project = Path(__file__).parents[1] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


VERSION = _version()
