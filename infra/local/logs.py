"""Show every process's log on the terminal as it grows, each line behind the name of its process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

POLL_SECONDS = 0.2
READ_BOUND_BYTES = 256 * 1024


class _Follower:
    """Reads what is added to one file, through its rotations."""

    def __init__(self, file: Path, name: str) -> None:
        self._file = file
        self.name = name
        self._stream: BinaryIO | None = None
        self._rest = b""
        with suppress(FileNotFoundError):
            self._stream = file.open("rb")
            self._stream.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _is_rotated(self) -> bool:
        if self._stream is None:
            return True
        try:
            return self._file.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            return False

    def new_lines(self) -> list[str]:
        """Complete lines since the last call."""
        data = self._stream.read(READ_BOUND_BYTES) if self._stream is not None else b""
        if not data and self._is_rotated():
            self.close()
            with suppress(FileNotFoundError):
                self._stream = self._file.open("rb")
                data = self._stream.read(READ_BOUND_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]


class LogFollower:
    """A thread that hands each new line of the logs to `write`, from the moment it is made."""

    def __init__(self, files: Iterable[tuple[str, Path]], write: Callable[[str], None]) -> None:
        self._followers = [_Follower(file, name) for name, file in files]
        self._width = max((len(follower.name) for follower in self._followers), default=0)
        self._write = write
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log-follower", daemon=True)

    def __enter__(self) -> LogFollower:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=5)

    def _pass_on(self) -> None:
        for follower in self._followers:
            for line in follower.new_lines():
                self._write(f"{follower.name:<{self._width}} | {line}")

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            self._pass_on()
        self._pass_on()
        for follower in self._followers:
            follower.close()
