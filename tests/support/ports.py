"""Ports for servers that a test starts, and that listen only seconds after a port was chosen for them."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.local.ports import is_free

LOWEST, HIGHEST, AT_ONCE = 10_000, 20_000, 100
"""Below the ports that the system gives to outgoing connections and to who asks for any, and below those of stacks."""


class Ports:
    """Ports that no one else is given: neither another process of these tests or of another run, nor this one again.

    A port that is only known to be free is another's a moment later, when the system is asked for any free one.
    """

    def __init__(self, lowest: int = LOWEST, highest: int = HIGHEST, at_once: int = AT_ONCE) -> None:
        self._blocks = [range(start, start + at_once) for start in range(lowest, highest, at_once)]
        self._claims: list[int] = []
        self._ports = self._all()

    def take(self, count: int) -> list[int]:
        """So many, on which no one listens."""
        return [next(self._ports) for _ in range(count)]

    def close(self) -> None:
        """Let others have them."""
        while self._claims:
            os.close(self._claims.pop())

    def _all(self) -> Iterator[int]:
        for block in self._blocks:
            if self._claim(block.start):
                yield from filter(is_free, block)
        raise RuntimeError("every port is taken, or is another's")

    def _claim(self, start: int) -> bool:
        """Whether a hundred is ours, until this process ends."""
        file = Path(tempfile.gettempdir()) / f"batua-tests-{os.getuid()}-ports-{start}.lock"
        claim = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            return False
        self._claims.append(claim)
        return True


_ours = Ports()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback for servers of this process of the tests."""
    return _ours.take(count)
