"""Several processes that serve one port, each with a socket of its own, and a supervisor that only waits.

A process that ends is started again: at once, or after a pause if it lived for a moment only. SIGTERM or SIGINT stops
them all in order. When the supervisor dies, they notice that their pipe to it has closed and stop by themselves.
The supervisor loads the standard library alone, so that it stays small.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from shared.runtime import recent_callers
from shared.runtime.logs import configure_logging
from shared.serving.address import Service, add_service, claim, read_service

PROCESS = "shared.serving.process"
YOUNG_SECONDS = 5.0
PAUSE_SECONDS = 1.0
KILLED_SECONDS = 5.0

_logger = logging.getLogger("batua.supervisor")  # the name of the module is __main__

Start = Callable[[int], subprocess.Popen[bytes]]


@dataclass(slots=True)
class _Slot:
    """A place for one process; times are of the monotonic clock."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """Keeps `count` processes running; `start` gets the number of a slot, from 1, and starts its process."""

    def __init__(self, start: Start, count: int, *, stop_seconds: float, young_seconds: float = YOUNG_SECONDS) -> None:
        self._start = start
        self._slots = [_Slot(number) for number in range(1, count + 1)]
        self._stop_seconds = stop_seconds
        self._young_seconds = young_seconds
        self._is_stopping = False
        self._has_served = False
        self._with_wrong_settings: set[int] = set()
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until told to stop; returns the exit code.

        It gives up with the code of a process that failed before any process has lived for `young_seconds`, or once
        each place has had one that refused its settings: settings that are wrong stay wrong.
        """
        with self._woken_by_signals() as wake_up:
            while not self._is_stopping:
                self._start_due()
                self._sleep(wake_up, self._seconds_until_due())
                self._reap()
            self._stop(wake_up)
        return self._exit_code

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and slot.start_at <= now:
                slot.process = self._start(slot.number)
                slot.started_at = now

    def _seconds_until_due(self) -> float | None:
        """None while all processes run: then only a signal ends the wait, theirs when they die among others."""
        due = [slot.start_at for slot in self._slots if slot.process is None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _reap(self) -> None:
        """Note which processes have ended, and when each is started again."""
        now = time.monotonic()
        self._has_served |= any(s.process and now - s.started_at >= self._young_seconds for s in self._slots)
        for slot in self._slots:
            code = None if slot.process is None else slot.process.poll()
            if code is None or slot.process is None:
                continue
            pid, slot.process = slot.process.pid, None
            if self._is_stopping:
                continue
            if code == os.EX_CONFIG:
                self._with_wrong_settings.add(slot.number)
            else:
                self._with_wrong_settings.discard(slot.number)
            are_wrong = len(self._with_wrong_settings) == len(self._slots)
            if code > 0 and (are_wrong or not self._has_served):
                _logger.error("process %d could not start and ended with %d; the service stops", pid, code)
                self._is_stopping, self._exit_code = True, code
                continue
            is_young = now - slot.started_at < self._young_seconds
            slot.start_at = now + (PAUSE_SECONDS if is_young else 0.0)
            _logger.warning("process %d ended with %d and is started again", pid, code)

    def _stop(self, wake_up: int) -> None:
        """Let the processes end in order; kill what still runs after `stop_seconds`."""
        self._signal(signal.SIGTERM)
        ends_at = time.monotonic() + self._stop_seconds
        while self._running() and (left := ends_at - time.monotonic()) > 0:
            self._sleep(wake_up, left)
            self._reap()
        late = self._running()
        if late:
            _logger.error("%d processes did not stop within %.0f s and are killed", len(late), self._stop_seconds)
            self._signal(signal.SIGKILL)
        for process in late:
            process.wait(KILLED_SECONDS)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [slot.process for slot in self._slots if slot.process is not None]

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running():
            process.send_signal(number)

    @contextmanager
    def _woken_by_signals(self) -> Iterator[int]:
        """A file descriptor that becomes readable when a signal comes, so that none is missed between two looks."""
        wake_up, written = os.pipe()
        os.set_blocking(wake_up, False)
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._request_stop())
        try:
            yield wake_up
        finally:
            signal.set_wakeup_fd(-1)
            os.close(wake_up)
            os.close(written)

    def _request_stop(self) -> None:
        self._is_stopping = True

    def _sleep(self, wake_up: int, seconds: float | None) -> None:
        if select.select([wake_up], [], [], seconds)[0]:
            os.read(wake_up, 1024)


def main() -> None:
    """Supervise the processes of one service until SIGTERM or SIGINT. Exits with 1 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m shared.serving.supervisor")
    add_service(parser)
    parser.add_argument("--processes", required=True, type=int)
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--reuse-port", action="store_true")
    parser.add_argument("--metrics-directory", type=Path)
    arguments = parser.parse_args()
    configure_logging(arguments.log_level)
    given = read_service(arguments)
    claimed = claim(given, reuse_port=arguments.reuse_port)
    service = replace(given, port=claimed.getsockname()[1])
    with _metrics_directory(arguments.metrics_directory) as metrics:
        start = _starter(service, arguments.processes, metrics)
        code = Supervisor(start, arguments.processes, stop_seconds=service.stop_seconds).run()
    sys.exit(code)


def _starter(service: Service, count: int, metrics: Path) -> Start:
    # The supervisor keeps the writing end to itself and never writes: when it is gone, the reading ends say so.
    reading, _writing = os.pipe()
    environment = os.environ | {"BATUA_PROCESSES": str(count), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    command = [sys.executable, "-m", PROCESS, *service.arguments(), "--supervisor-pipe", str(reading)]
    handed_on = [reading]
    memory = recent_callers.create_memory(count)
    if memory is not None:
        handed_on.append(memory)
        command += ["--recent-callers", str(memory)]

    def start(slot: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, "--slot", str(slot)], env=environment, pass_fds=handed_on, stdin=subprocess.DEVNULL
        )

    return start


@contextmanager
def _metrics_directory(given: Path | None) -> Iterator[Path]:
    """An empty directory for the files in which the processes count; removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="batua-metrics-")) if given is None else given
    directory.mkdir(parents=True, exist_ok=True)
    for file in directory.glob("*.db"):
        file.unlink(missing_ok=True)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
