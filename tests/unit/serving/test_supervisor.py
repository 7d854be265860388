"""The supervisor keeps processes running, and ends with them. Here they are small programs that only say their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from infra.local.layout import CHECKOUT
from shared.serving.supervisor import PAUSE_SECONDS
from tests.support.deadlines import deadline
from tests.support.waiting import eventually

PROGRAM = """
import subprocess, sys
from shared.serving.supervisor import Supervisor

def start(slot):
    return subprocess.Popen([sys.executable, "-c", sys.argv[1]])

sys.exit(Supervisor(start, 2, stop_seconds=float(sys.argv[2]), young_seconds=float(sys.argv[3])).run())
"""
WAITING = "import os, signal; os.write(1, b'%d\\n' % os.getpid()); signal.pause()"
DEAF = "import signal; signal.signal(15, lambda *_: None); "
STUBBORN = DEAF + WAITING.replace("signal.pause()", "[*iter(signal.pause, 1)]")
FAILING = "import sys; sys.exit(3)"

Supervise = Callable[..., "Supervised"]


class Supervised:
    """A supervisor of two processes."""

    def __init__(self, program: str, stop_seconds: float, young_seconds: float) -> None:
        command = [sys.executable, "-c", PROGRAM, program, str(stop_seconds), str(young_seconds)]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)

    def next_pid(self) -> int:
        """The pid of the process that started next."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(deadline(60))


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    started: list[Supervised] = []

    def _supervise(program: str, *, stop_seconds: float = 3600, young_seconds: float = 0) -> Supervised:
        started.append(Supervised(program, stop_seconds, young_seconds))
        return started[-1]

    yield _supervise
    for each in started:
        if each.process.poll() is None:
            supervisor = psutil.Process(each.process.pid)
            supervisor.suspend()  # or it would start others while we kill them
            for process in (*supervisor.children(), supervisor):
                process.kill()
        each.process.communicate()


def test_a_process_that_dies_is_started_again(supervise: Supervise) -> None:
    supervised = supervise(WAITING)
    first, second = supervised.next_pid(), supervised.next_pid()
    os.kill(first, signal.SIGKILL)
    third = supervised.next_pid()
    children = {child.pid for child in psutil.Process(supervised.process.pid).children()}
    assert children == {second, third}


def test_a_process_that_dies_young_is_started_again_after_a_pause(supervise: Supervise) -> None:
    supervised = supervise(WAITING, young_seconds=3600)
    first, _ = supervised.next_pid(), supervised.next_pid()
    killed_at = time.monotonic()
    os.kill(first, signal.SIGKILL)
    supervised.next_pid()
    assert time.monotonic() - killed_at >= PAUSE_SECONDS


def test_a_signal_stops_every_process_and_then_the_supervisor(supervise: Supervise) -> None:
    supervised = supervise(WAITING)
    processes = [psutil.Process(supervised.next_pid()) for _ in range(2)]
    assert supervised.stop() == 0
    assert not any(process.is_running() for process in processes)


def test_a_process_that_does_not_stop_is_killed(supervise: Supervise) -> None:
    supervised = supervise(STUBBORN, stop_seconds=0.2)
    processes = [psutil.Process(supervised.next_pid()) for _ in range(2)]
    assert supervised.stop() == 0
    assert not any(process.is_running() for process in processes)


def test_processes_that_cannot_start_end_the_service_with_their_code(supervise: Supervise) -> None:
    supervised = supervise(FAILING, young_seconds=3600)
    assert supervised.process.wait(deadline(60)) == 3


def test_wrong_settings_end_the_service_however_long_the_processes_took_to_read_them(supervise: Supervise) -> None:
    supervised = supervise(FAILING.replace("3", str(os.EX_CONFIG)), young_seconds=0)
    assert supervised.process.wait(deadline(60)) == os.EX_CONFIG


def test_a_failure_after_the_service_has_served_does_not_end_it(supervise: Supervise) -> None:
    supervised = supervise("import os, sys; os.write(1, b'%d\\n' % os.getpid()); sys.exit(3)")
    pids = {supervised.next_pid() for _ in range(4)}
    assert len(pids) == 4
    assert supervised.process.poll() is None


def test_the_supervisor_loads_no_library_that_only_a_serving_process_needs() -> None:
    program = "import sys, shared.serving.supervisor; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert loaded & {"pydantic", "uvicorn", "fastapi", "sqlalchemy", "prometheus_client", "uvloop"} == set()


def test_waiting_costs_a_supervisor_no_cpu(supervise: Supervise) -> None:
    supervised = supervise(WAITING)
    supervised.next_pid()
    supervised.next_pid()
    process = psutil.Process(supervised.process.pid)
    eventually(lambda: process.status() == psutil.STATUS_SLEEPING, "the supervisor waits")
    before = process.num_ctx_switches().voluntary
    time.sleep(0.5)
    assert process.num_ctx_switches().voluntary - before <= 2
