import os
import time
from pathlib import Path

import pytest

from infra.local.launch import NICENESS, command, niceness_of, note_pid, pause_after_short_life
from infra.local.layout import PROCESSES, Layout


@pytest.mark.parametrize("process", PROCESSES)
def test_every_server_listens_on_loopback_and_on_its_own_port(process: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path, 11000)
    line = " ".join(command(process, layout))
    assert "0.0.0.0" not in line
    if layout.port(process):
        assert str(layout.port(process)) in line


def test_redis_keeps_nothing_on_the_disk(tmp_path: Path) -> None:
    assert command("redis", Layout(tmp_path, 11000))[-2:] == ["--save", ""]


def test_the_pid_written_down_is_of_the_process_itself(tmp_path: Path) -> None:
    layout = Layout(tmp_path, 11000)
    layout.make_directories()
    note_pid(layout, "smtp")
    assert layout.pid_file("smtp").read_text(encoding="ascii") == f"{os.getpid()}\n"


@pytest.mark.parametrize(("age_seconds", "pauses"), [(0, True), (60, False)])
def test_only_a_process_that_died_at_once_waits_before_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_seconds: float, pauses: bool
) -> None:
    layout = Layout(Path(tmp_path), 11000)
    layout.make_directories()
    note_pid(layout, "smtp")
    then = time.time() - age_seconds
    os.utime(layout.pid_file("smtp"), (then, then))
    pauses_taken: list[float] = []
    monkeypatch.setattr("infra.local.launch.time.sleep", pauses_taken.append)
    pause_after_short_life(layout, "smtp")
    assert bool(pauses_taken) is pauses


@pytest.mark.parametrize(("environment", "gives_way"), [({}, True), ({"BATUA_GIVE_WAY": "0"}, False)])
def test_mail_and_banks_give_way_to_requests_unless_told_not_to(environment: dict[str, str], gives_way: bool) -> None:
    assert {name for name in PROCESSES if niceness_of(name, environment)} == (NICENESS.keys() if gives_way else set())
