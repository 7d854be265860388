"""Programs that a test starts and kills."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


class Programs:
    """Programs that a test starts and kills, each in a process group of its own. Use `programs`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one; what it says goes to a log of this name."""
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                cwd=self._directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill one with what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._running.remove(process)

    def log(self, name: str) -> str:
        """What one has said."""
        return (self._directory / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def kill_all(self) -> None:
        """Leave none running."""
        for process in list(self._running):
            self.kill(process)


@contextmanager
def programs(directory: Path) -> Iterator[Programs]:
    """Nothing that was started is left at the end."""
    started = Programs(directory)
    try:
        yield started
    finally:
        started.kill_all()
