"""Programs that tests need and that come with no Python package."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_ALSO_IN = "/usr/sbin:/sbin"


def needed_program(name: str, package: str) -> str:
    """The path of a program. Where it is missing the test is skipped; in continuous integration, it fails."""
    found = shutil.which(name) or shutil.which(name, path=_ALSO_IN)
    if found is None:
        leave_out(f"this test needs {name}: on Debian, apt install {package}")
    return found


def leave_out(reason: str) -> NoReturn:
    """Skip this test; in continuous integration, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
