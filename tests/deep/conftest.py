"""Tests that take long: they run where they are named, as `make test-deep` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.share import HOURS
from tests.support.whole_stack import battered_stack  # noqa: F401 - a fixture


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They may take hours."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(HOURS))
