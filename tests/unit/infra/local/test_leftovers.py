import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from infra.local.layout import Layout
from infra.local.leftovers import end_leftovers, find
from infra.local.readiness import wait_until
from tests.support.deadlines import deadline

Start = Callable[..., subprocess.Popen[bytes]]

_SLEEP = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "home", 11000)
    layout.make_directories()
    return layout


@pytest.fixture
def start(layout: Layout) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def _start(**environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(_SLEEP, env={**os.environ, **environment})
        started.append(process)
        return process

    yield _start
    for process in started:
        process.kill()
        process.wait()


def test_a_process_that_says_it_is_this_homes_is_ended(layout: Layout, start: Start) -> None:
    process = start(BATUA_HOME=str(layout.home), BATUA_PROCESS="smtp")
    layout.pid_file("smtp").write_text(f"{process.pid}\n", encoding="ascii")
    # Between fork and exec the child still shows our own environment.
    assert wait_until(lambda: find(layout, "smtp") is not None, deadline())
    assert end_leftovers(layout) == ["smtp"]
    assert process.poll() is not None
    assert not layout.pid_file("smtp").exists()


@pytest.mark.parametrize(
    "environment", [{}, {"BATUA_HOME": "/another/home", "BATUA_PROCESS": "smtp"}, {"BATUA_PROCESS": "smtp"}]
)
def test_a_process_of_others_with_the_pid_of_a_dead_one_is_left_alone(
    layout: Layout, start: Start, environment: dict[str, str]
) -> None:
    process = start(**environment)
    layout.pid_file("smtp").write_text(f"{process.pid}\n", encoding="ascii")
    assert end_leftovers(layout) == []
    assert process.poll() is None


def test_a_pid_file_that_holds_nonsense_is_only_taken_away(layout: Layout) -> None:
    layout.pid_file("redis").write_text("half", encoding="ascii")
    assert end_leftovers(layout) == []
    assert not layout.pid_file("redis").exists()


def test_processes_that_shared_a_port_of_this_home_are_ended_without_a_pid_file(layout: Layout, start: Start) -> None:
    ours = start(BATUA_HOME=str(layout.home), BATUA_PROCESS="user_app")
    another_homes = start(BATUA_HOME="/another/home", BATUA_PROCESS="user_app")
    a_command = start(BATUA_HOME=str(layout.home), BATUA_PROCESS="command")
    assert wait_until(lambda: psutil.Process(ours.pid).environ().get("BATUA_PROCESS") == "user_app", deadline())
    assert end_leftovers(layout) == []
    assert ours.poll() is not None
    assert another_homes.poll() is None
    assert a_command.poll() is None
