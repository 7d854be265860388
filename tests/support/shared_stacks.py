"""What the modules of a group of tests share, whole stacks above all: it starts with the first test that needs it.

It ends with the last test of its group. A stack takes up to a tenth of a core when nothing is asked of it, and a worker
has other tests to run for minutes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import pytest

from infra.local.stack import Stack

T = TypeVar("T")
_running: dict[str, Any] = {}
_ends = ExitStack()


def shared(name: str, start: Callable[[], AbstractContextManager[T]]) -> T:
    """What goes by this name, started if it does not run. What was started first ends last."""
    if name not in _running:
        _running[name] = _ends.enter_context(start())
    found: T = _running[name]
    return found


def shared_stack(
    name: str, settings: Mapping[str, str], directories: pytest.TempPathFactory, free_port_base: Callable[[], int]
) -> Stack:
    """The stack of this name, which runs."""
    return shared(name, lambda: Stack(directories.mktemp(name), free_port_base(), settings))


def end_shared_stacks() -> None:
    """End what runs; a test that needs it later gets a new one."""
    _running.clear()
    _ends.close()
