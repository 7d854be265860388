"""One run of all tests measures the coverage of what moves money, over the tests of that alone."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.tracing_of_money import ROOMS, TESTS, pause_tracing, trace_once, trace_only_money


class Controller:
    """As pytest-cov's: it began when the session did."""

    def __init__(self) -> None:
        self.started = True
        self.cov = SimpleNamespace(get_option={"run:source": ["shared/ledger", "shared/proof"]}.get)

    def pause(self) -> None:
        assert self.started, "it is paused already"
        self.started = False

    def resume(self) -> None:
        assert not self.started, "it goes on already"
        self.started = True


def config_with(plugin: Any) -> Any:
    return SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin={"_cov": plugin}.get))


def before(path: str, plugin: Any) -> None:
    item: Any = SimpleNamespace(path=TESTS / path, config=config_with(plugin))
    trace_only_money(item)


def test_what_is_measured_is_loaded_before_tracing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, loaded = Controller(), dict[str, bool]()
    monkeypatch.setattr(importlib, "import_module", lambda name: loaded.update({name: controller.started}))
    pause_tracing(config_with(SimpleNamespace(cov_controller=controller)))
    assert {"shared.ledger.post", "shared.ledger.rules", "shared.proof.prove"} <= loaded.keys()
    assert all(loaded.values())
    assert not controller.started


def test_what_traces_a_worker_before_its_session_is_paused() -> None:
    controller = Controller()
    trace_once(config_with(SimpleNamespace(cov_controller=controller)))
    assert not controller.started


def test_only_the_tests_of_what_moves_money_are_traced() -> None:
    controller = Controller()
    traced = {}
    for path in (
        "integration/ledger/test_post.py",
        "unit/ledger/test_rules.py",
        "unit/test_money.py",
        "integration/user_app/test_transfers.py",
        "concurrency/test_storm.py",
        "system/test_stack.py",
        "integration/withdrawals/test_engine.py",
    ):
        before(path, SimpleNamespace(cov_controller=controller))
        traced[path.split("/")[-2]] = controller.started
    assert traced == {
        "ledger": True,
        "unit": False,
        "user_app": False,
        "concurrency": True,
        "system": False,
        "withdrawals": True,
    }


def test_without_a_measurement_nothing_is_traced() -> None:
    before("unit/test_money.py", None)
    before("unit/test_money.py", SimpleNamespace(cov_controller=None))


def test_each_room_has_tests() -> None:
    for room in ROOMS:
        assert any((TESTS / kind / room).is_dir() for kind in ("unit", "integration")), room
