"""A Redis of a test's own, which it may fill, stop and start again: the one of the run serves other tests too."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.layout import Layout
from infra.local.redis import answers, server_command
from tests.support.waiting import eventually


class RedisServer:
    """Use `redis_server_at`."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its first database."""
        return f"redis://127.0.0.1:{self.layout.port('redis')}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = server_command(self.layout)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: answers(self.layout), "Redis answers")

    def stop(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis_server_at(directory: Path, port_base: int) -> Iterator[RedisServer]:
    """A server that does not run yet; nothing of it is left at the end."""
    layout = Layout(directory, port_base)
    layout.run.mkdir(parents=True, exist_ok=True)
    server = RedisServer(layout)
    try:
        yield server
    finally:
        server.stop()
