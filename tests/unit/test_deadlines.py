"""Allowances follow the machine: they stretch on a slow one and are never shorter than on the reference machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local import slowness
from infra.local.stack import READY_SECONDS, Stack
from tests.support import deadlines
from tests.support.waiting import eventually, eventually_async


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the next measurements find, the last of them again and again."""
    found = [1.0]
    monkeypatch.setattr(deadlines, "measure", lambda: found.pop(0) if len(found) > 1 else found[0])
    monkeypatch.setattr(deadlines, "_measured_at", float("-inf"))
    monkeypatch.setattr(deadlines, "MEASURED_FOR_SECONDS", 0.0)
    monkeypatch.setattr(deadlines, "_slowness", 1.0)
    monkeypatch.setattr(deadlines, "_most", 1.0)
    monkeypatch.delenv(deadlines.SLOWNESS)
    return found


def test_the_reference_machine_waits_as_long_as_a_test_says(measured: list[float]) -> None:
    assert deadlines.deadline(3) == 3


def test_a_machine_four_times_slower_waits_four_times_as_long(measured: list[float]) -> None:
    measured[:] = [4.0]
    assert deadlines.deadline(3) == 12


def test_load_that_comes_and_goes_is_measured_anew(measured: list[float]) -> None:
    measured[:] = [1.0, 5.0, 5.0, 1.0]
    assert [deadlines.deadline(1) for _ in range(3)] == [1, 5, 1]


def test_a_machine_that_stood_still_while_it_was_measured_is_measured_again(measured: list[float]) -> None:
    measured[:] = [1.5, 50.0, 2.0]
    assert [deadlines.deadline(1) for _ in range(2)] == [1.5, 2]


def test_what_a_test_waits_for_may_take_as_long_as_a_limit_that_was_set_while_the_machine_stood_still(
    measured: list[float],
) -> None:
    measured[:] = [30.0, 30.0, 1.0]
    limit = deadlines.deadline(10)
    assert deadlines.deadline(60) < limit
    assert deadlines.patience(60) > limit


def test_a_worker_keeps_to_what_the_run_began_with(measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(deadlines.SLOWNESS, "2.5")
    assert deadlines.deadline(2) == 5


def test_a_measurement_is_never_below_one_nor_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    for reference, found in ((1e9, 1.0), (1e-9, slowness.MOST)):
        monkeypatch.setattr(slowness, "REFERENCE_SECONDS", reference)
        assert slowness.measure() == found


async def test_what_never_comes_fails_and_says_what_it_was() -> None:
    async def never() -> bool:
        return False

    with pytest.raises(AssertionError, match="the bus"):
        eventually(lambda: None, "the bus", seconds=0.01)
    with pytest.raises(AssertionError, match="the bus"):
        await eventually_async(never, "the bus", seconds=0.01)
    assert eventually(lambda: "it", "the bus") == "it"


@pytest.mark.parametrize(("given", "seconds"), [({}, READY_SECONDS * 4), ({"BATUA_READY_SECONDS": "7"}, 7)])
def test_a_stack_waits_longer_for_its_processes_on_a_slower_machine_unless_told_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], seconds: float
) -> None:
    monkeypatch.setattr(slowness, "measure", lambda: 4.0)
    waits: list[float] = []
    monkeypatch.setattr("infra.local.stack.wait_until_ready", lambda _layout, _name, seconds: waits.append(seconds))
    monkeypatch.setattr("infra.local.stack.Supervisor.start", lambda *_: None)
    Stack(tmp_path, 11000, given).start_process("smtp")
    assert waits == [seconds]
