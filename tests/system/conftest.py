"""Every process of Batua, as `make up` runs them, with hours turned into moments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.support.shared_stacks import shared_stack
from tests.support.whole_stack import FAST, bank, battered_stack, person, prove, shop  # noqa: F401 - fixtures

SETTINGS = FAST | {"BATUA_ON_RAMPS__ENQUIRE_AFTER_SECONDS": "5"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They take their time. Which of them share a worker, and so a stack, each module says itself."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(240))
    # They share a stack. Drills leave payouts under way, and what becomes of those is recorded together with others.
    traces = [item for item in items if item.path.name == "test_traces.py"]
    drills = [item for item in items if item.path.name == "test_alerts.py"]
    if traces and drills:
        items[:] = [item for item in items if item not in traces]
        at = items.index(drills[0])
        items[at:at] = traces


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Stack:
    """A whole running stack."""
    return shared_stack("system", SETTINGS, tmp_path_factory, free_port_base)
