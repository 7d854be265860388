"""Read the logs of several processes together, and go on reading as they grow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

READ_BOUND_BYTES = 256 * 1024


class _File:
    """Reads one log from its last lines on, and through its rotations."""

    def __init__(self, path: Path, last: int) -> None:
        self._path = path
        self._last = last
        self._stream: BinaryIO | None = None
        self._rest = b""

    def close(self) -> None:
        """Close the file if it is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def first_lines(self) -> list[str]:
        """The last lines that are there now; the supervisor keeps a log below 5 MiB, so it is read whole."""
        with suppress(FileNotFoundError):
            self._stream = self._path.open("rb")
        lines = self._complete(self._stream.read() if self._stream is not None else b"")
        return lines[-self._last :] if self._last else []

    def new_lines(self) -> list[str]:
        """The complete lines that were added since the last call."""
        data = self._stream.read(READ_BOUND_BYTES) if self._stream is not None else b""
        if not data and self._is_rotated():
            self.close()
            with suppress(FileNotFoundError):
                self._stream = self._path.open("rb")
                data = self._stream.read(READ_BOUND_BYTES)
        return self._complete(data)

    def _is_rotated(self) -> bool:
        if self._stream is None:
            return True
        try:
            return self._path.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _complete(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]


class LogReader:
    """The logs of some processes; with more than one, each line stands behind the name of its process.

    The first `lines()` answers the `last` lines of each log, every later one what was added since.
    """

    def __init__(self, files: Iterable[tuple[str, Path]], last: int) -> None:
        self._files = [(name, _File(path, last)) for name, path in files]
        self._width = max((len(name) for name, _ in self._files), default=0)
        self._began = False

    def lines(self) -> Iterator[str]:
        """The next lines, process by process."""
        for name, file in self._files:
            yield from self._labelled(name, file.new_lines() if self._began else file.first_lines())
        self._began = True

    def close(self) -> None:
        """Close every file."""
        for _, file in self._files:
            file.close()

    def _labelled(self, name: str, lines: Sequence[str]) -> Iterator[str]:
        label = f"{name:<{self._width}} | " if len(self._files) > 1 else ""
        return (label + line for line in lines)
