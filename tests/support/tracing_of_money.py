"""The coverage of the rooms that move money: which tests it is measured over.

Tracing every line costs a third, so only the tests of what moves money are traced.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
ROOMS = ("banks", "idempotency", "ledger", "on_ramps", "proof", "reconciliation", "withdrawals")
FOLDERS = (TESTS / "concurrency", *(TESTS / kind / room for kind in ("unit", "integration") for room in ROOMS))


def trace_once(config: pytest.Config) -> None:
    """Before the session of a worker: pytest-cov traces it since its start, and traces it anew from its session on. The
    first, whose data it forgets, would go on while the second pauses."""
    controller = _controller(config)
    if controller is not None:
        controller.pause()


def pause_tracing(config: pytest.Config) -> None:
    """Before tests are collected, which takes twice as long while it is traced. What is measured is loaded first, as
    the bodies of its modules are lines of it too."""
    controller = _controller(config)
    if controller is None:
        return
    if controller.started:  # not in the process that gives the workers their tests
        for folder in controller.cov.get_option("run:source"):
            for module in pkgutil.iter_modules([folder]):
                importlib.import_module(f"{folder.replace('/', '.')}.{module.name}")
    controller.pause()


def trace_only_money(item: pytest.Item) -> None:
    """Before a test: go on with tracing, or pause it, by where the test is."""
    controller = _controller(item.config)
    if controller is None:
        return
    is_of_money = not set(FOLDERS).isdisjoint(item.path.parents)
    if is_of_money and not controller.started:
        controller.resume()
    elif controller.started and not is_of_money:
        controller.pause()


def _controller(config: pytest.Config) -> Any:
    """What traces; None without `--cov`."""
    return getattr(config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
