"""What runs the tests keeps those of one group in one worker, so that what they share is started once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.groups import group_of, is_last_of_its_group


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_share_a_worker(request: pytest.FixtureRequest) -> None:
    is_grouped = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@together") == is_grouped


@pytest.mark.xdist_group("together")
def test_what_a_group_shares_is_there_until_its_last_test(request: pytest.FixtureRequest) -> None:
    here: pytest.Item = request.node
    without_a_group: Any = SimpleNamespace(get_closest_marker=lambda _: None)
    assert not is_last_of_its_group(here, here)
    assert is_last_of_its_group(here, without_a_group)
    assert is_last_of_its_group(here, None)
    assert not is_last_of_its_group(without_a_group, without_a_group)


@pytest.fixture(scope="module")
def started() -> str:
    return "once"


def test_tests_that_share_a_fixture_of_their_module_are_a_group(started: str, request: pytest.FixtureRequest) -> None:
    assert group_of(request.node) == "unit/test_groups"


def test_other_tests_are_of_no_group(request: pytest.FixtureRequest) -> None:
    assert group_of(request.node) is None
