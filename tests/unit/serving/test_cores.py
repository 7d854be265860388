from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shared.serving.cores import MOST_BY_DEFAULT, available_cores, default_processes


@pytest.fixture
def on_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("on_a_machine")
@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("150000 100000", 2), ("20000 100000", 1), ("1600000 100000", 8), ("nonsense", 8), ("", 8)],
)
def test_a_container_uses_no_more_cores_than_its_quota(tmp_path: Path, quota: str, expected: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{quota}\n", encoding="ascii")
    assert available_cores(file) == expected


@pytest.mark.usefixtures("on_a_machine")
def test_without_a_quota_every_core_counts(tmp_path: Path) -> None:
    assert available_cores(tmp_path / "nowhere") == 8


@pytest.mark.usefixtures("on_a_machine")
def test_the_default_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert default_processes() == MOST_BY_DEFAULT


def test_one_process_where_the_kernel_does_not_spread_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_processes() == 1
