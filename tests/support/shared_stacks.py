"""Whole stacks that the modules of a group of tests share: one starts with the first test that needs it.

It ends with the last test of its group. Each takes up to a tenth of a core when nothing is asked of it, and a worker
has other tests to run for minutes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from infra.local.stack import Stack

_running: dict[str, Stack] = {}


def shared_stack(
    name: str, settings: Mapping[str, str], directories: pytest.TempPathFactory, free_port_base: Callable[[], int]
) -> Stack:
    """The stack of this name, which runs."""
    if name not in _running:
        stack = Stack(directories.mktemp(name), free_port_base(), settings)
        stack.start()
        _running[name] = stack
    return _running[name]


def end_shared_stacks() -> None:
    """Stop those that run; a test that needs one later gets a new one."""
    while _running:
        _, stack = _running.popitem()
        stack.stop()
