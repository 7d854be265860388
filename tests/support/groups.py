"""Which tests xdist keeps in one worker: those of a group, and those that share what their module starts."""

from __future__ import annotations

import pytest


def group_of(item: pytest.Item) -> str | None:
    """The name of the test's group, if it is of one."""
    mark = item.get_closest_marker("xdist_group")
    return None if mark is None else str(mark.args[0])


def is_last_of_its_group(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Whether the next test of this process, if any, is of another group, or of none."""
    return following is None or group_of(following) != group_of(item)


def keep_modules_together(items: list[pytest.Item]) -> None:
    """Tests that share a fixture of their module become a group: in three workers, a bank or a service of a module
    would be started three times, which often takes longer than the tests."""
    for item in items:
        if group_of(item) is None and _shares_with_its_module(item):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


def _shares_with_its_module(item: pytest.Item) -> bool:
    found = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    return any(definition.scope == "module" for definitions in found for definition in definitions)
